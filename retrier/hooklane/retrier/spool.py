"""What the retrier remembers: a cache of the backlog and of the open tickets.

Everything in it can be read from Kafka again; it may be deleted at any time between two runs.
The decisions (`backlog`) ask it through the Protocol here; `spool_sqlite` keeps it in a file, the
tests keep it in memory, and one conformance suite proves that both say the same.
"""

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.lane import LaneId


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that is not resolved. `record` is its value in the backlog; `ticket` the ticket that
    `standing` comes from, None if it comes from the task itself or has not been read back yet."""

    partition: int
    lane: LaneId
    sequence: int
    subscription: str
    timestamp_ms: int
    standing: Standing
    record: bytes
    ticket: TicketPlace | None = None


@dataclass(frozen=True, slots=True)
class StrayTicket:
    """A ticket whose task has not been read, or is resolved already."""

    partition: int
    lane: LaneId
    sequence: int
    standing: Standing
    place: TicketPlace


@dataclass(frozen=True, slots=True)
class OwedRelease:
    """That a lane is resolved up to `sequence` once it is empty, and the event partition whose
    owner must hear it. What was resolved out of turn is owed before the lane is empty."""

    partition: int
    lane: LaneId
    sequence: int
    group: str
    topic: str
    topic_id: str
    event_partition: int
    subscription: str
    uid: str
    key: bytes | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one backlog partition has been read: of which topic, to which offset, and when.

    `saved_ms`: milliseconds since the epoch.
    """

    partition: int
    topic_id: str
    offset: int
    saved_ms: int


class Spool(Protocol):
    """Tasks by lane and sequence, stray tickets, owed releases, and checkpoints.

    Changes between the start and the end of `batch` are kept together or not at all.
    """

    def batch(self) -> AbstractContextManager[None]: ...

    def add(self, task: Waiting) -> bool:
        """False, and nothing changes: a task of that lane and sequence is there already."""

    def remove(self, lane: LaneId, sequences: Collection[int]) -> None:
        """Those of them that are there."""

    def get(self, lane: LaneId, sequence: int) -> Waiting | None: ...

    def first(self, lane: LaneId) -> Waiting | None:
        """The task of the lane with the lowest sequence."""

    def following(self, lane: LaneId, sequence: int, enough_bytes: int) -> list[Waiting]:
        """The next tasks of the lane above this sequence, up to the one whose record makes it
        `enough_bytes`."""

    def highest(self, lane: LaneId) -> int | None:
        """The sequence of the lane's last task; None: the lane is empty."""

    def stand(
        self, lane: LaneId, sequence: int, standing: Standing, ticket: TicketPlace | None
    ) -> None:
        """Set what holds for a task that is there."""

    def due(
        self, subscription: str, now_ms: int, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        """Lanes of the subscription whose first task is due and not halted, longest due first.

        Of these partitions only; None: of all.
        """

    def lanes_of(
        self, subscription: str, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        """Lanes of the subscription, whether due or not, in any order; partitions as in `due`."""

    def next_due(self) -> dict[str, int | None]:
        """For each subscription that has tasks: when its first lane is due, None if all halted."""

    def add_stray(self, ticket: StrayTicket) -> None: ...

    def take_strays(self, lane: LaneId, sequence: int) -> list[StrayTicket]:
        """The stray tickets of a task, which leave the strays."""

    def drop_strays(self, partition: int, before: int) -> None:
        """Forget strays of the partition that came in before the mark `before` (see `mark`)."""

    def mark(self) -> int:
        """A number that rises: strays added from now on are not `before` it."""

    def first_open_ticket(self, partition: int, tier: str) -> int | None:
        """The lowest offset of a ticket that is not used up: of a task's, or a stray's."""

    def owe(self, release: OwedRelease) -> OwedRelease:
        """Of one lane only the highest sequence is owed; gives what is owed now."""

    def paid(self, lane: LaneId, sequence: int) -> None:
        """The release up to `sequence` is written; a later one stays owed."""

    def owed(self, partition: int) -> list[OwedRelease]: ...

    def checkpoint(self, partition: int) -> Checkpoint | None: ...

    def save_checkpoint(self, checkpoint: Checkpoint) -> None: ...

    def forget(self, partitions: Iterable[int]) -> None:
        """Everything of these partitions, also their checkpoints."""

    def tasks(self) -> int:
        """How many tasks there are."""

    def halted_lanes(self, partition: int, after: LaneId, limit: int) -> list[LaneId]:
        """Lanes of the partition whose first task is halted, in the order of their ids, above
        `after`."""

    def halted(self, partitions: Collection[int]) -> int:
        """How many lanes of these partitions have a first task that is halted."""

    def oldest_ms(self) -> int | None:
        """The lowest timestamp of a lane's first event (milliseconds since the epoch)."""

    def close(self) -> None: ...
