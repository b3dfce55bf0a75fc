"""The canonical value of an object graph, on which the explorer's merging of states rests."""

import copy
from collections import deque
from dataclasses import dataclass, field

from tests.model.freeze import Freezer


@dataclass(slots=True, eq=False)
class Slotted:
    number: int
    other: "Slotted | None" = None


@dataclass
class Open:
    waiting: deque[Slotted] = field(default_factory=deque)
    names: set[str] = field(default_factory=set)


def graph() -> Open:
    first = Slotted(1)
    return Open(deque([first, Slotted(2, first)]), {"a", "b"})


def frozen(thing: object) -> object:
    return Freezer({}).freeze(thing)


def test_a_deep_copy_is_the_same_state() -> None:
    """Graphs of the same content and shape are one state, whichever objects they are made of."""
    assert frozen(graph()) == frozen(copy.deepcopy(graph()))


def test_every_field_counts() -> None:
    """A change anywhere in the graph, in a slot, a container or a set, is another state."""
    changed = graph()
    changed.waiting[0].number = 3
    shorter = graph()
    shorter.waiting.pop()
    renamed = graph()
    renamed.names.add("c")
    assert len({frozen(one) for one in (graph(), changed, shorter, renamed)}) == 4


def test_being_the_same_object_counts() -> None:
    """An equal object in the place of the same one is another state: decisions compare by `is`."""
    other = graph()
    other.waiting[1].other = Slotted(1)
    assert frozen(graph()) != frozen(other)
