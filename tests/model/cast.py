"""The owners as numbers. An owner that stands like another one is the same number.

The decisions are deterministic: what a method does to an owner is found out once, on a deep copy,
and remembered. So the real classes run only as often as there are different situations, and the
exploration of all interleavings is left with small tuples.
"""

import copy
import copyreg
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import Any, Protocol

from tests.model.freeze import Freezer
from tests.model.scene import Scene

# A lane's namer holds digests, which know how to copy themselves but do not tell `copy` so.
copyreg.pickle(blake2b, lambda digest: (digest.copy, ()))


class Actor(Protocol):
    def view(self) -> Any: ...


class Cast:
    def __init__(self, scene: Scene) -> None:
        self._constants = _constants(scene)
        self._freezer = Freezer({id(one): name for name, one in self._constants.items()})
        self._numbers: dict[Hashable, int] = {}
        self._actors: list[Actor] = []
        self._views: list[Any] = []
        self._acts: dict[tuple[Any, ...], tuple[int, Any]] = {}

    def __len__(self) -> int:
        return len(self._actors)

    def enter(self, actor: Actor) -> int:
        """The number of an owner that stands like this one; nobody may change it any more."""
        frozen = self._freezer.freeze(actor)
        number = self._numbers.get(frozen)
        if number is None:
            number = self._numbers[frozen] = len(self._actors)
            self._actors.append(actor)
            self._views.append(actor.view())
        return number

    def made(self, kind: str, make: Callable[[], Actor], *facts: Hashable) -> int:
        """A new owner that is made of these facts and nothing else."""
        found = self._acts.get((kind, *facts))
        if found is None:
            found = self._acts[kind, *facts] = (self.enter(make()), None)
        return found[0]

    def view(self, number: int) -> Any:
        return self._views[number]

    def act(self, number: int, method: str, *arguments: Any) -> tuple[int, Any]:
        """The owner after it, and what the method returned."""
        asked = (number, method, *arguments)
        found = self._acts.get(asked)
        if found is None:
            memo: dict[int, Any] = {id(one): one for one in self._constants.values()}
            actor = copy.deepcopy(self._actors[number], memo)
            returned = getattr(actor, method)(*arguments)
            found = self._acts[asked] = (self.enter(actor), returned)
        return found


def _constants(scene: Scene) -> dict[str, Any]:
    """Shared by all copies: nothing of it ever changes."""
    named: dict[str, Any] = {"scene": scene, "book": scene.book, "resolver": scene.resolver}
    named |= {"unread book": scene.unread_book}
    named |= {
        f"event {event.topic_id}{event.offset}": event for events in scene.eras for event in events
    }
    named |= {f"entry {name}": entry for name, entry in scene.entries.items()}
    return named
