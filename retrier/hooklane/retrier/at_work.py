"""The lanes at work: what each attempts, which tombstones are on their way, what comes next. Pure
but for the spool.

The next tasks of a lane are read from the spool some at a time, since a drain asks for each of
them; whatever is read about the lane meanwhile has them read again. What is resolved leaves the
spool some at a time too, at the latest when the lane rests, or before a checkpoint passes the
tombstones. And what a drain writes comes back as a record: of each tombstone the acknowledgement
and the record say the same, so that the second of the two need not be looked up.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hooklane.retrier.queue import LaneQueue
from hooklane.retrier.spool import Spool, Waiting
from hooklane.schemas.lane import LaneId

_AHEAD_BYTES: Final = 16_384
"""What is read ahead of a lane: records of so many bytes, and one."""
_TOGETHER: Final = 16
"""Tasks of a lane that leave the spool together."""
_MOST_HEARD: Final = 1000
"""Tombstones of a lane that are remembered as heard of once: more only cost a look."""


@dataclass(slots=True, eq=False)
class Work:
    """A lane at work. `current` takes a slot; `unacked` are tombstones on their way."""

    partition: int
    subscription: str
    current: Waiting | None = None
    tombstoned: bool = False
    """Somebody else resolved the current task while it was attempted (rule 11)."""
    unacked: set[int] = field(default_factory=set)
    heard: set[int] = field(default_factory=set)
    """Tombstones of our own that were either acknowledged or read: the other is still to come."""
    resolved: list[int] = field(default_factory=list)
    """Tasks whose tombstones are in Kafka, and that are still in the spool."""
    ahead: deque[Waiting] = field(default_factory=deque)
    """The lane's next tasks, without a gap."""

    def tombstone(self, sequence: int) -> None:
        """One is to be written."""
        self.unacked.add(sequence)
        self.heard.discard(sequence)

    def acked(self, sequence: int) -> bool:
        """One is acknowledged; whether it was read already, and says nothing new."""
        if sequence not in self.unacked:
            return False
        self.unacked.discard(sequence)
        return self._heard_twice(sequence)

    def read(self, sequence: int) -> bool:
        """One was read; whether it is our own and was acknowledged already."""
        if self.ahead and sequence >= self.ahead[0].sequence:
            self.ahead.clear()
        if sequence not in self.unacked and sequence not in self.heard:
            return False
        return self._heard_twice(sequence)

    def changed(self) -> None:
        """Something of the lane changed: what is known of it may not be so any more."""
        self.ahead.clear()
        self.heard.clear()

    def _heard_twice(self, sequence: int) -> bool:
        if sequence in self.heard:
            self.heard.discard(sequence)
            return True
        if len(self.heard) < _MOST_HEARD:
            self.heard.add(sequence)
        return False


class LanesAtWork:
    """By lane: from the first task that is begun until everything about it is acknowledged."""

    def __init__(self, spool: Spool, queue: LaneQueue) -> None:
        self._spool = spool
        self._queue = queue
        self._work: dict[LaneId, Work] = {}

    def __contains__(self, lane: LaneId) -> bool:
        return lane in self._work

    def __len__(self) -> int:
        return len(self._work)

    def get(self, lane: LaneId) -> Work | None:
        return self._work.get(lane)

    def of(self, partition: int) -> Iterator[Work]:
        """Those of a backlog partition."""
        return (work for work in self._work.values() if work.partition == partition)

    def attempting(self, waiting: Waiting) -> Work | None:
        """The lane's work, if this very task is what it attempts: else its partition has been
        somebody else's since, and what comes of it is of no interest."""
        work = self._work.get(waiting.lane)
        return work if work is not None and work.current is waiting else None

    def changed(self, lane: LaneId) -> bool:
        """A task of the lane came, or its standing changed; whether the lane is at work."""
        work = self._work.get(lane)
        if work is not None:
            work.changed()
        return work is not None

    def takes_slot(self, lane: LaneId) -> bool:
        work = self._work.get(lane)
        return work is not None and work.current is not None

    def take(self, waiting: Waiting) -> None:
        """The task takes a slot."""
        work = self._of(waiting)
        work.current, work.tombstoned = waiting, False
        self._queue.take_slot(work.subscription)

    def tombstone(self, waiting: Waiting) -> None:
        """The task's tombstone is to be written; the slot is given back."""
        work = self._of(waiting)
        work.tombstone(waiting.sequence)
        self.free(work)

    def free(self, work: Work) -> None:
        """Give the slot back, if it has one."""
        if work.current is not None:
            work.current = None
            self._queue.free_slot(work.subscription)

    def resolve(self, lane: LaneId, sequence: int) -> None:
        """A tombstone is in Kafka: its task leaves the spool, with others if it is our own."""
        work = self._work.get(lane)
        if work is None or sequence not in work.heard:
            self._spool.remove(lane, [sequence])
            return
        work.resolved.append(sequence)
        if len(work.resolved) >= _TOGETHER:
            self._remove(lane, work)

    def settle(self, lane: LaneId) -> None:
        """What is resolved of the lane leaves the spool now."""
        work = self._work.get(lane)
        if work is not None:
            self._remove(lane, work)

    def settle_all(self) -> None:
        """What is resolved of any lane leaves the spool now."""
        for lane, work in self._work.items():
            self._remove(lane, work)

    def _remove(self, lane: LaneId, work: Work) -> None:
        if work.resolved:
            self._spool.remove(lane, work.resolved)
            work.resolved = []

    def rest(self, lane: LaneId) -> bool:
        """Forget the lane, if nothing of it is under way; whether that is so."""
        work = self._work.get(lane)
        if work is None:
            return True
        if work.current is not None or work.unacked:
            return False
        self._remove(lane, work)
        del self._work[lane]
        return True

    def forget(self, partition: int) -> None:
        """The partition is somebody else's."""
        for lane, work in list(self._work.items()):
            if work.partition == partition:
                self.free(work)
                self._remove(lane, work)
                del self._work[lane]

    def following(self, waiting: Waiting) -> Waiting | None:
        """The task after this one, of a lane at work."""
        work = self._work[waiting.lane]
        while work.ahead and work.ahead[0].sequence <= waiting.sequence:
            work.ahead.popleft()
        if not work.ahead:
            found = self._spool.following(waiting.lane, waiting.sequence, _AHEAD_BYTES)
            work.ahead.extend(found)
        return work.ahead[0] if work.ahead else None

    def covers(self, lane: LaneId, sequence: int) -> bool:
        """Whether a later task of the lane is left, whose release will be up to there or beyond."""
        work = self._work.get(lane)
        current = None if work is None or work.tombstoned else work.current
        if current is not None and current.sequence > sequence:
            return True
        highest = self._spool.highest(lane)
        return highest is not None and highest > sequence

    def _of(self, waiting: Waiting) -> Work:
        work = self._work.get(waiting.lane)
        if work is None:
            work = self._work[waiting.lane] = Work(waiting.partition, waiting.subscription)
        return work
