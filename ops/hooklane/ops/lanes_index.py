"""Which tasks of which lanes wait, from the backlog's keys alone. Pure.

Payloads are never held: sixteen bytes a task, and the ids of the lanes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import split_task_key

_GAP = 1024


class TaskPlace(NamedTuple):
    """A task by its sequence, and the offset of its record in the lane's backlog partition."""

    sequence: int
    offset: int


class LaneTasks:
    """The waiting tasks of one lane, in the order of their sequences.

    They come at the end and go at the beginning, so both are cheap: what went at the beginning
    stays as a gap, until the gap is long.
    """

    def __init__(self) -> None:
        self._sequences = array("q")
        self._offsets = array("q")
        self._gap = 0

    def __len__(self) -> int:
        return len(self._sequences) - self._gap

    def __iter__(self) -> Iterator[TaskPlace]:
        places = zip(self._sequences, self._offsets, strict=True)
        return (TaskPlace(*one) for one in islice(places, self._gap, None))

    def put(self, sequence: int, offset: int) -> None:
        """A task; of one that is known already (rule 11: the same task) the newest record."""
        place = self._place(sequence)
        if self._is_at(place, sequence):
            self._offsets[place] = offset
        else:
            self._sequences.insert(place, sequence)
            self._offsets.insert(place, offset)

    def remove(self, sequence: int) -> None:
        """It is resolved; unknown ones are passed over."""
        place = self._place(sequence)
        if not self._is_at(place, sequence):
            return
        if place != self._gap:
            del self._sequences[place], self._offsets[place]
            return
        self._gap += 1
        if self._gap > max(_GAP, len(self)):
            del self._sequences[: self._gap], self._offsets[: self._gap]
            self._gap = 0

    def _place(self, sequence: int) -> int:
        return bisect_left(self._sequences, sequence, lo=self._gap)

    def _is_at(self, place: int, sequence: int) -> bool:
        return place < len(self._sequences) and self._sequences[place] == sequence


@dataclass(slots=True)
class BacklogIndex:
    """The lanes with tasks. `unknown_keys` counts records that no version here wrote."""

    lanes: dict[LaneId, LaneTasks] = field(default_factory=dict)
    unknown_keys: int = 0

    def read(self, key: bytes | None, offset: int, *, tombstone: bool) -> None:
        """One record of the backlog; those of a partition come in its order."""
        named = None if key is None else split_task_key(key)
        if named is None:
            self.unknown_keys += 1
            return
        lane, sequence = named
        tasks = self.lanes.get(lane)
        if not tombstone:
            if tasks is None:
                tasks = self.lanes[lane] = LaneTasks()
            tasks.put(sequence, offset)
        elif tasks is not None:
            tasks.remove(sequence)
            if not len(tasks):
                del self.lanes[lane]

    def begin_with(self, prefix: str) -> list[LaneId]:
        """The lanes whose id begins so."""
        return [lane for lane in self.lanes if lane.startswith(prefix)]
