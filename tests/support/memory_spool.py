"""The spool in plain dictionaries: what `SqliteSpool` must equal, and what explorers drive.

A deep copy is another spool of the same content; `frozen()` is the whole state as one value.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from hooklane.retrier.spool import Checkpoint, OwedRelease, StrayTicket, Waiting
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.lane import LaneId


class MemorySpool:
    """The Spool of `hooklane.retrier.spool`. Every value in it is immutable."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[LaneId, int], Waiting] = {}
        self._strays: dict[tuple[int, TicketPlace], tuple[int, StrayTicket]] = {}
        self._owed: dict[LaneId, OwedRelease] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._mark = 1

    def frozen(self) -> Hashable:
        """Equal for spools that will answer alike whatever comes."""
        parts: tuple[Mapping[Any, Any], ...]
        parts = (self._tasks, self._strays, self._owed, self._checkpoints)
        return (*(_sorted_items(part) for part in parts), self._mark)

    @contextmanager
    def batch(self) -> Iterator[None]:
        before = {
            name: dict(value) if isinstance(value, dict) else value
            for name, value in vars(self).items()
        }
        try:
            yield
        except BaseException:
            vars(self).update(before)
            raise

    def add(self, task: Waiting) -> bool:
        return self._tasks.setdefault((task.lane, task.sequence), task) is task

    def remove(self, lane: LaneId, sequences: Collection[int]) -> None:
        for sequence in sequences:
            self._tasks.pop((lane, sequence), None)

    def get(self, lane: LaneId, sequence: int) -> Waiting | None:
        return self._tasks.get((lane, sequence))

    def first(self, lane: LaneId) -> Waiting | None:
        return self._heads().get(lane)

    def following(self, lane: LaneId, sequence: int, enough_bytes: int) -> list[Waiting]:
        found: list[Waiting] = []
        for above in sorted(at for of, at in self._tasks if of == lane and at > sequence):
            found.append(self._tasks[lane, above])
            if sum(len(one.record) for one in found) >= enough_bytes:
                break
        return found

    def highest(self, lane: LaneId) -> int | None:
        return max((at for of, at in self._tasks if of == lane), default=None)

    def stand(
        self, lane: LaneId, sequence: int, standing: Standing, ticket: TicketPlace | None
    ) -> None:
        task = self._tasks.get((lane, sequence))
        if task is not None:
            self._tasks[lane, sequence] = replace(task, standing=standing, ticket=ticket)

    def due(
        self, subscription: str, now_ms: int, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        return [
            head.lane
            for head in self._heads_of(subscription)
            if not head.standing.halted
            and head.standing.due_ms <= now_ms
            and (partitions is None or head.partition in partitions)
        ][:limit]

    def lanes_of(
        self, subscription: str, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        return [
            head.lane
            for head in self._heads_of(subscription)
            if partitions is None or head.partition in partitions
        ][:limit]

    def next_due(self) -> dict[str, int | None]:
        return {
            name: min(
                (head.standing.due_ms for head in self._heads_of(name) if not head.standing.halted),
                default=None,
            )
            for name in sorted({head.subscription for head in self._heads().values()})
        }

    def add_stray(self, ticket: StrayTicket) -> None:
        self._strays[ticket.partition, ticket.place] = (self._mark, ticket)
        self._mark += 1

    def take_strays(self, lane: LaneId, sequence: int) -> list[StrayTicket]:
        taken = sorted(
            (
                entry
                for entry in self._strays.values()
                if (entry[1].lane, entry[1].sequence) == (lane, sequence)
            ),
            key=lambda entry: entry[0],
        )
        for _, ticket in taken:
            del self._strays[ticket.partition, ticket.place]
        return [ticket for _, ticket in taken]

    def drop_strays(self, partition: int, before: int) -> None:
        self._strays = {
            place: entry
            for place, entry in self._strays.items()
            if place[0] != partition or entry[0] >= before
        }

    def mark(self) -> int:
        return self._mark

    def first_open_ticket(self, partition: int, tier: str) -> int | None:
        of_tasks = (task.ticket for task in self._tasks.values() if task.partition == partition)
        of_strays = (place for at, place in self._strays if at == partition)
        places = (*of_tasks, *of_strays)
        return min((at.offset for at in places if at is not None and at.tier == tier), default=None)

    def owe(self, release: OwedRelease) -> OwedRelease:
        earlier = self._owed.get(release.lane)
        if earlier is not None and earlier.sequence > release.sequence:
            return earlier
        self._owed[release.lane] = release
        return release

    def paid(self, lane: LaneId, sequence: int) -> None:
        owed = self._owed.get(lane)
        if owed is not None and owed.sequence <= sequence:
            del self._owed[lane]

    def owed(self, partition: int) -> list[OwedRelease]:
        return [owed for _, owed in _sorted_items(self._owed) if owed.partition == partition]

    def checkpoint(self, partition: int) -> Checkpoint | None:
        return self._checkpoints.get(partition)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        self._checkpoints[checkpoint.partition] = checkpoint

    def forget(self, partitions: Iterable[int]) -> None:
        gone = set(partitions)
        self._tasks = {at: one for at, one in self._tasks.items() if one.partition not in gone}
        self._strays = {at: one for at, one in self._strays.items() if at[0] not in gone}
        self._owed = {at: one for at, one in self._owed.items() if one.partition not in gone}
        self._checkpoints = {at: one for at, one in self._checkpoints.items() if at not in gone}

    def tasks(self) -> int:
        return len(self._tasks)

    def halted_lanes(self, partition: int, after: LaneId, limit: int) -> list[LaneId]:
        halted = [one for one in self._heads().values() if one.standing.halted]
        lanes = sorted(one.lane for one in halted if one.partition == partition)
        return [lane for lane in lanes if lane > after][:limit]

    def halted(self, partitions: Collection[int]) -> int:
        heads = self._heads().values()
        return sum(one.standing.halted and one.partition in partitions for one in heads)

    def oldest_ms(self) -> int | None:
        return min((head.timestamp_ms for head in self._heads().values()), default=None)

    def close(self) -> None:
        pass

    def _heads(self) -> dict[LaneId, Waiting]:
        heads: dict[LaneId, Waiting] = {}
        for (lane, sequence), task in self._tasks.items():
            if lane not in heads or sequence < heads[lane].sequence:
                heads[lane] = task
        return heads

    def _heads_of(self, subscription: str) -> list[Waiting]:
        """Longest due first, the oldest event first among equals; halted ones last."""
        heads = (head for head in self._heads().values() if head.subscription == subscription)
        return sorted(
            heads,
            key=lambda head: (
                head.standing.halted,
                head.standing.due_ms,
                head.timestamp_ms,
                head.lane,
            ),
        )


def _sorted_items(part: Mapping[Any, Any]) -> tuple[tuple[Any, Any], ...]:
    return tuple(sorted(part.items(), key=lambda item: item[0]))
