"""A canonical value of any object graph, so that two states that will act alike are one state.

Every field of every object is walked, so a field that the product's classes get tomorrow is part
of the state without a word here. Which objects are the same object is part of it too, because the
decisions compare some by identity: each object is numbered at its first visit.
"""

from collections.abc import Hashable, Mapping
from enum import Enum
from functools import cache
from types import FunctionType
from typing import Any, cast

_SAID_BY_NAME = (Enum, type, FunctionType)


class Freezer:
    """`constants` are never walked: the explorer gives each a name, and nobody changes them."""

    def __init__(self, constants: Mapping[int, str]) -> None:
        self._constants = constants

    def freeze(self, thing: Any) -> Hashable:
        """A hashable value, equal for graphs of the same shape and content."""
        return _Walk(self._constants).value(thing)


class _Walk:
    def __init__(self, constants: Mapping[int, str]) -> None:
        self._constants = constants
        self._seen: dict[int, int] = {}

    def value(self, thing: Any) -> Hashable:
        name = self._constants.get(id(thing))
        if name is not None:
            return ("constant", name)
        if thing is None or isinstance(thing, (str, bytes, int, float)):
            return thing
        if isinstance(thing, (tuple, frozenset, set)):
            return self._plain(thing)
        if isinstance(thing, _SAID_BY_NAME):
            return str(thing)
        return self._object(thing)

    def _plain(self, thing: Any) -> Hashable:
        if isinstance(thing, tuple):
            return tuple([self.value(one) for one in thing])
        return ("set", tuple(sorted((self.value(one) for one in thing), key=repr)))

    def _object(self, thing: Any) -> Hashable:
        """A mutable container, an object that freezes itself, or one with fields."""
        number = self._seen.get(id(thing))
        if number is not None:
            return ("again", number)
        self._seen[id(thing)] = len(self._seen)
        kind = type(thing).__name__
        if isinstance(thing, dict):
            items = tuple([(self.value(key), self.value(one)) for key, one in thing.items()])
            return (kind, items)
        if hasattr(thing, "hexdigest"):
            return (kind, thing.hexdigest())
        if hasattr(thing, "frozen"):
            return (kind, self.value(thing.frozen()))
        if hasattr(thing, "__iter__"):
            return (kind, tuple([self.value(one) for one in thing]))
        fields = [
            self.value(getattr(thing, name)) for name in _slots(cast("Hashable", type(thing)))
        ]
        fields += [self.value(one) for one in getattr(thing, "__dict__", {}).values()]
        return (kind, tuple(fields))


@cache
def _slots(kind: Hashable) -> tuple[str, ...]:
    """The slots of a class and its bases, in the order of their definition."""
    groups = [getattr(base, "__slots__", ()) for base in reversed(getattr(kind, "__mro__", ()))]
    return tuple(name for group in groups for name in group if name[:2] != "__")
