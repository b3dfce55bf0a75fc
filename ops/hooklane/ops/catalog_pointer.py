"""References within a JSON Schema: where they lead, and how they read from elsewhere. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

_MAPS: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)


class BadReferenceError(ValueError):
    """A reference that leads nowhere in its own schema. Its text says which."""


def resolved(root: object, reference: str) -> Any:
    """What `#` or `#/a/JSON/pointer` leads to.

    Raises:
        BadReferenceError: it leads nowhere, or out of this schema, or to an anchor.
    """
    if reference != "#" and not reference.startswith("#/"):
        raise BadReferenceError(f"{reference} is not a place in the same schema, such as #/$defs/x")
    found: Any = root
    for part in reference[2:].split("/") if reference != "#" else ():
        step = unquote(part).replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadReferenceError(f"{reference} leads nowhere in the schema") from error
    return found


def parts(schema: object) -> Iterator[Mapping[str, Any]]:
    """The schema and every one that is in it, without those that are only true or false."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for inner in _inner(schema):
        yield from parts(inner)


def moved(schema: Any, to: str) -> Any:
    """The schema, to stand at the pointer `to` (`#/…`) of another document.

    Data in it (examples, constants) is left alone, whatever it looks like.
    """

    def change(one: Any) -> Any:
        if not isinstance(one, Mapping):
            return one
        found = _mapped(one, change)
        if isinstance(one.get("$ref"), str) and one["$ref"].startswith("#"):
            found["$ref"] = to + one["$ref"][1:]
        return found

    return change(schema)


def _inner(schema: Mapping[str, Any]) -> Iterator[Any]:
    for word, value in schema.items():
        if word in _MAPS and isinstance(value, Mapping):
            yield from value.values()
        elif word in _LISTS and isinstance(value, Sequence):
            yield from value
        elif word in _SINGLE:
            yield value


def _mapped(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _MAPS and isinstance(value, Mapping):
            found[word] = {name: change(inner) for name, inner in value.items()}
        elif word in _LISTS and isinstance(value, Sequence):
            found[word] = [change(inner) for inner in value]
        elif word in _SINGLE:
            found[word] = change(value)
        else:
            found[word] = value
    return found
