"""How far the owned backlog partitions have been read, and when they may be worked on. Pure.

Rule 7: a partition is restored when its backlog, and its part of every tier, have been read to
the high watermarks that were asked for after it was assigned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hooklane.retrier.spool import Checkpoint, OwedRelease
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord


@dataclass(frozen=True, slots=True)
class BacklogFacts:
    """One backlog partition as Kafka has it now; times in milliseconds."""

    topic_id: str
    first_offset: int
    end_offset: int
    keeps_tombstones_ms: int


def is_usable(checkpoint: Checkpoint, facts: BacklogFacts, now_ms: int) -> bool:
    """Whether a spool may be continued from its checkpoint.

    Not when the topic is another one, when the log ends before it, or when tombstones may have
    been removed that the spool has not seen: it would bring resolved tasks back.
    """
    return (
        checkpoint.topic_id == facts.topic_id
        and facts.first_offset <= checkpoint.offset <= facts.end_offset
        and now_ms - checkpoint.saved_ms < facts.keeps_tombstones_ms
    )


@dataclass(slots=True)
class _Reading:
    targets: Mapping[Assigned, int] | None = None
    begun: dict[Assigned, int] = field(default_factory=dict)


class RestoreProgress:
    """Follows the positions of all partitions that are read."""

    def __init__(self) -> None:
        self._positions: dict[Assigned, int] = {}
        self._readings: dict[int, _Reading] = {}

    def begin(self, partition: int) -> None:
        """A backlog partition was assigned; its targets are not known yet."""
        self._readings[partition] = _Reading()

    def aim(self, partition: int, targets: Mapping[Assigned, int]) -> None:
        """These offsets have to be reached, of the backlog and of every tier."""
        reading = self._readings.get(partition)
        if reading is not None:
            reading.targets = targets
            reading.begun = {place: self.position(place) for place in targets}

    def reached(self, place: Assigned, offset: int) -> None:
        """Everything of `place` below `offset` has been read."""
        self._positions[place] = max(offset, self._positions.get(place, 0))

    def position(self, place: Assigned) -> int:
        return self._positions.get(place, 0)

    def take_restored(self) -> list[int]:
        """Partitions that have reached all of their targets, each told once."""
        restored = [
            partition
            for partition, reading in self._readings.items()
            if reading.targets is not None
            and all(self.position(place) >= to for place, to in reading.targets.items())
        ]
        for partition in restored:
            del self._readings[partition]
        return restored

    def forget(self, partition: int, places: Iterable[Assigned]) -> None:
        """The partition is not ours any more."""
        self._readings.pop(partition, None)
        for place in places:
            self._positions.pop(place, None)

    def left(self) -> dict[int, int | None]:
        """Records that each partition still has to read, None while that is not known."""
        return {
            partition: (
                None
                if reading.targets is None
                else sum(
                    max(to - max(self.position(place), reading.begun.get(place, 0)), 0)
                    for place, to in reading.targets.items()
                )
            )
            for partition, reading in self._readings.items()
        }


def owed_of(lane: LaneId, blocked: LaneRecord, partition: int) -> OwedRelease:
    """What is owed to a blocked lane once nothing of it is left in the backlog.

    A spool that is made anew cannot tell a lane whose last task was resolved just before a crash
    from one that never was: so each blocked lane is owed its release up to `blocked`, which goes
    out as soon as the lane is empty.
    """
    return OwedRelease(
        partition=partition,
        lane=lane,
        sequence=blocked.sequence,
        group=blocked.group,
        topic=blocked.topic,
        topic_id=blocked.topic_id,
        event_partition=blocked.partition,
        subscription=blocked.subscription,
        uid=blocked.uid,
        key=blocked.key,
    )
