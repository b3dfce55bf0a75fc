"""The data of a triggered event: a sample, with what was typed in its place. Pure."""

import json
from collections.abc import Sequence
from types import NoneType
from typing import Any

from hooklane.runtime.errors import UsageError


def overridden(sample: Any, changes: Sequence[str]) -> Any:
    """The sample with each `path=value`, in the order given; the sample itself stays as it is.

    A path is names and places, such as `lines.0.sku`; what is missing on the way is made. A value
    that is JSON is that, anything else is text; so is `9.00` in the place of a text.

    Raises:
        UsageError: one is not PATH=VALUE, or leads through what holds nothing.
    """
    data = json.loads(json.dumps(sample))
    for change in changes:
        path, sign, value = change.partition("=")
        if not sign or not path:
            raise UsageError(f"--set {change!r} is not PATH=VALUE, such as amount=120.")
        _put(data, path.split("."), value, change)
    return data


def parsed_data(text: str) -> Any:
    """Raises UsageError: it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"--data is not JSON: {error}.") from error


def _read(value: str, before: object) -> Any:
    """`before`: what stands there."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return value if isinstance(before, str) and not isinstance(found, str | NoneType) else found


def _put(data: Any, path: Sequence[str], value: str, change: str) -> None:
    *way, last = path
    for step in way:
        data = _step(data, step, change)
    if isinstance(data, dict):
        data[last] = _read(value, data.get(last))
    elif isinstance(data, list) and _place(last, data, change) == len(data):
        data.append(_read(value, None))
    elif isinstance(data, list):
        data[_place(last, data, change)] = _read(value, data[_place(last, data, change)])
    else:
        raise _nothing_inside(change)


def _step(data: Any, step: str, change: str) -> Any:
    if isinstance(data, dict):
        return data.setdefault(step, {})
    if isinstance(data, list) and _place(step, data, change) < len(data):
        return data[_place(step, data, change)]
    raise _nothing_inside(change)


def _place(step: str, items: list[Any], change: str) -> int:
    if not step.isdecimal() or int(step) > len(items):
        raise UsageError(f"--set {change}: {step!r} is no place in a list of {len(items)}.")
    return int(step)


def _nothing_inside(change: str) -> UsageError:
    return UsageError(f"--set {change}: the path leads into something that holds nothing.")
