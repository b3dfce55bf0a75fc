"""Dataclasses as the dicts that fastavro writes, by getters that are made once for each type.

An attempt record is written for each attempt, so this is on the hot path: 2 µs instead of the
16 µs of walking `dataclasses.fields` every time. The plain twin is in tests/unit/test_codec_plain.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

Plain: TypeAlias = Callable[[Any], Any]


def plain_form(kind: type) -> Plain:
    """A function that turns a `kind` into a dict of its fields, all the way down.

    A field that does not count in comparisons is no part of the record. Fields may be values,
    dataclasses, tuples of one kind, and each of these or None.
    """
    hints = get_type_hints(kind)
    names = tuple(f.name for f in fields(kind) if f.compare)
    values = attrgetter(*names) if len(names) > 1 else _one(names[0])
    inner = [(name, form) for name in names if (form := _form(hints[name])) is not None]

    def flat(value: Any) -> dict[str, Any]:
        return dict(zip(names, values(value), strict=True))

    def deep(value: Any) -> dict[str, Any]:
        found = flat(value)
        for name, form in inner:
            one = found[name]
            if one is not None:
                found[name] = form(one)
        return found

    return deep if inner else flat


def _form(hint: Any) -> Plain | None:
    """How a field of this type is turned; None if it is written as it is."""
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        (one,) = (arm for arm in get_args(hint) if arm is not NoneType)
        return _form(one)
    if origin is tuple:
        return _sequence(_form(get_args(hint)[0]))
    return plain_form(hint) if is_dataclass(hint) and isinstance(hint, type) else None


def _sequence(form: Plain | None) -> Plain:
    return list if form is None else lambda values: [form(value) for value in values]


def _one(name: str) -> Callable[[Any], tuple[Any]]:
    get = attrgetter(name)
    return lambda value: (get(value),)
