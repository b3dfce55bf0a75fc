"""From the bytes of a config record to JSON values, and the limits that a document must keep.

Both judge before anything recursive sees the document, so that no nesting and no size can do harm.
"""

import json
from collections.abc import Iterable
from typing import NoReturn

from hooklane.schemas.subscription_faults import Fault, SubscriptionError, quoted

LARGEST_DOCUMENT = 256 * 1024
"""Bytes of a document."""
DEEPEST_DOCUMENT = 48
MOST_VALUES = 20_000


def read_document(data: bytes) -> object:
    """The JSON values in a record's value.

    Raises:
        SubscriptionError: too large, not UTF-8, not JSON, a name twice, NaN or infinity.
    """
    if len(data) > LARGEST_DOCUMENT:
        raise _refusal(f"is too large: {len(data)} bytes, at most {LARGEST_DOCUMENT}")
    try:
        return json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        said = "is not UTF-8 text"
    except RecursionError:
        said = "is nested too deep"
    except json.JSONDecodeError as error:
        said = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except _BadJsonError as error:
        said = str(error)
    except ValueError:
        said = "has a number with too many digits"
    raise _refusal(said)


def check_size(document: object) -> None:
    """Hold a tree of JSON values against the limits, without recursion.

    Raises:
        SubscriptionError: too deep, too many values, too much text, or no JSON value.
    """
    size = count = 0
    level: list[object] = [document]
    for depth in range(DEEPEST_DOCUMENT + 1):
        if not level:
            return
        if depth == DEEPEST_DOCUMENT:
            raise _refusal(f"is nested too deep: at most {DEEPEST_DOCUMENT} levels")
        below: list[object] = []
        for value in level:
            count += 1
            size += _own_size(value)
            below.extend(_inner(value))
            if count + len(below) > MOST_VALUES:
                raise _refusal(f"has too many values: at most {MOST_VALUES}")
            if size > LARGEST_DOCUMENT:
                raise _refusal(f"is too large: at most {LARGEST_DOCUMENT} bytes of text")
        level = below


def _inner(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else ()


def _own_size(value: object) -> int:
    match value:
        case str():
            try:
                return len(value.encode())
            except UnicodeEncodeError:
                raise _refusal("has text that is not Unicode (a lone surrogate)") from None
        case dict() if not all(isinstance(name, str) for name in value):
            raise _refusal("has a field whose name is not text: put the name in quotes")
        case None | bool() | dict() | list():
            return 1
        case int() if value.bit_length() > 64:
            raise _refusal("has a number beyond 64 bits")
        case int():
            return 8
        case float() if value - value == 0.0:
            return 8
        case _:
            raise _refusal(f"has a value that is not JSON: {quoted(type(value).__name__)}")


class _BadJsonError(Exception):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise _BadJsonError(f"has the field {quoted(twice)} twice in one mapping")
    return found


def _constant(name: str) -> NoReturn:
    raise _BadJsonError(f"has the number {name}, which JSON does not know")


def _refusal(said: str) -> SubscriptionError:
    return SubscriptionError((Fault("", f"the document {said}"),))
