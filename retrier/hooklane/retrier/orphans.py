"""Lanes whose last task was resolved without us, and who may be owed a release. Pure.

A spool that is continued from its checkpoint may read a tombstone of a task that it never had:
another owner, or an operator, resolved it meanwhile, and compaction has taken the task away.
Whether the release of its lane was written then nobody here can tell: an owner that died just
before has taken that with it.

    checkpoint 40    41 task 7    42 tombstone 7    what is read: the tombstone alone
    blocked 7, no release                           the lane is owed its release up to 7

So after the restore the lanes topic is looked at for these lanes, if they are empty. A task of the
lane that comes meanwhile brings a release of its own.
"""

from collections import defaultdict

from hooklane.retrier.spool import Spool
from hooklane.schemas.lane import LaneId

NEVER = -1


class Orphans:
    """What the restores of this process have met, by backlog partition."""

    def __init__(self) -> None:
        self._restoring: set[int] = set()
        self._lanes: dict[int, dict[LaneId, int]] = defaultdict(dict)

    def restoring(self, partition: int) -> None:
        """From now on tombstones without a task are noted."""
        self._restoring.add(partition)

    def are_noted(self, partition: int) -> bool:
        return partition in self._restoring

    def tombstone(self, partition: int, lane: LaneId, sequence: int) -> None:
        """A tombstone of a task that is not there was read."""
        lanes = self._lanes[partition]
        lanes[lane] = max(sequence, lanes.get(lane, NEVER))

    def task(self, partition: int, lane: LaneId) -> None:
        """A task of the lane came."""
        if partition in self._lanes:
            self._lanes[partition].pop(lane, None)

    def restored(self, partition: int, spool: Spool) -> bool:
        """What comes now comes to a reader that follows. Whether there are lanes to look after: not
        those with tasks left, of which the last one brings a release, nor those whose release is
        owed already up to there."""
        self._restoring.discard(partition)
        owed = {one.lane: one.sequence for one in spool.owed(partition)}
        lanes = {
            lane: sequence
            for lane, sequence in self._lanes.pop(partition, {}).items()
            if owed.get(lane, NEVER) < sequence and spool.first(lane) is None
        }
        if lanes:
            self._lanes[partition] = lanes
        return bool(lanes)

    def are_left(self, partition: int) -> bool:
        """Whether some of the partition are still to be looked after: no checkpoint may pass their
        tombstones, from which alone they are known."""
        return bool(self._lanes.get(partition))

    def take(self, partition: int) -> set[LaneId]:
        """The lanes to look after; each is told once."""
        return set(self._lanes.pop(partition, ()))

    def forget(self, partition: int) -> None:
        """The partition is somebody else's."""
        self._restoring.discard(partition)
        self._lanes.pop(partition, None)
