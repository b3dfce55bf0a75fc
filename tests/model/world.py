"""The state that is explored: an abstract Kafka, the two owners, and what is known of the truth.

A log is a tuple of record numbers (`Catalogue`). Records of an open transaction are negative: a
reader with `read_committed` stops at the first of them (the last stable offset).
"""

from collections.abc import Iterable
from enum import Enum
from functools import cache
from typing import NamedTuple

from tests.model.scene import About, Catalogue, Log

Numbers = tuple[int, ...]


class Phase(Enum):
    """How far a transaction is."""

    LEFT_OPEN = "left open"
    """Its producer is gone; the coordinator will abort it."""
    DECIDED = "decided"
    """Committed, its producer gone before it heard; partitions learn of it one by one."""
    ONE_BY_ONE = "one by one"
    """A mutant's: no transaction at all, `queued` is what is not written yet."""


class Transaction(NamedTuple):
    """`offset` is None once the group has it."""

    phase: Phase
    offset: int | None
    letters: Numbers
    queued: tuple[Numbers, ...] = ()


class RetrierState(Enum):
    """Without its spool a new retrier first reads what lanes are blocked."""

    UP = "up"
    DOWN = "down"
    DOWN_WITHOUT_SPOOL = "down without spool"


class World(NamedTuple):
    """Owners are numbers of the `Cast`, -1 where there is none.

    `tail` is how far the fan-out has followed the lanes topic, `read` and `read_tier` how far the
    retrier has read; `late` is what a retrier had given to its producer when it died, by log.

    Of the truth, as masks of deliveries: `known` were delivered and their owner heard it,
    `lettered` are in the dead letters. `last` and `top` are, of each lane, the sequence that the
    receiver accepted last and the highest, late arrivals not counted. `floors` is, of each
    delivery, the number of attempts that the present retrier must know of.
    """

    fanout: int
    retrier: int
    retrier_state: RetrierState
    committed: int
    lanes: Numbers
    backlog: Numbers
    tier: Numbers
    transaction: Transaction | None
    tail: int
    read: int
    read_tier: int
    late: tuple[Numbers, ...]
    known: int
    lettered: int
    last: Numbers
    top: Numbers
    floors: Numbers
    failures: int
    refusals: int
    fanout_crashes: int
    retrier_crashes: int
    aborts: int
    rewrites: int


def stable(log: Numbers) -> int:
    """The last stable offset."""
    for offset, number in enumerate(log):
        if number < 0:
            return offset
    return len(log)


def is_stable(log: Numbers) -> bool:
    return not log or min(log) > 0


def committed(log: Numbers) -> Numbers:
    """The log once its open transaction is committed."""
    return tuple([abs(number) for number in log])


def aborted(log: Numbers) -> Numbers:
    """The log once its open transaction is aborted: nobody ever sees those records."""
    return tuple([number for number in log if number > 0])


class Compaction(Enum):
    """What the cleaner may have done when a reader begins at a log's start."""

    NONE = "nothing compacted"
    SUPERSEDED = "compacted"
    TOMBSTONES = "compacted, tombstones gone"


class Cleaner:
    """Compaction, and the forgetting of what no reader can tell any more."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.tidy = cache(self._tidy)
        self.compacted = cache(self._compacted)
        self.unresolved = cache(self._unresolved)

    def _compacted(self, log: Numbers, how: Compaction) -> Numbers:
        """A log without open records, as a reader from its start may find it."""
        if how is Compaction.NONE:
            return log
        newest = {self._about(number).key: at for at, number in enumerate(log)}
        kept = [number for at, number in enumerate(log) if newest[self._about(number).key] == at]
        if how is Compaction.TOMBSTONES:
            kept = [number for number in kept if not self._about(number).tombstone]
        return tuple(kept)

    def _tidy(self, log: Numbers, behind: int) -> tuple[Numbers, int]:
        """The log with everything below `behind` in the shortest form, and how long that is.

        Nobody will read those records one by one any more: only from the start to an end beyond
        them. Such a reader ends alike whether or not a record is there twice, and of lane records
        it takes, by key, the highest since the last tombstone, or after compaction the last.
        """
        by_key: dict[bytes, list[int]] = {}
        front: list[int] = []
        for number in log[:behind]:
            of_key = by_key.setdefault(self._about(number).key, [])
            if not of_key or of_key[-1] != number:
                of_key.append(number)
                front.append(number)
        if front and self._about(front[0]).log is Log.LANES:
            front = [number for key in sorted(by_key) for number in self._tidy_lane(by_key[key])]
        return (*front, *log[behind:]), len(front)

    def _tidy_lane(self, numbers: list[int]) -> Iterable[int]:
        since: list[int] = []
        for number in numbers:
            since = [] if self._about(number).tombstone else [*since, number]
        highest = max(since, key=lambda number: self._about(number).number, default=0)
        return since[-1:] if not since or highest == since[-1] else (highest, since[-1])

    def _unresolved(self, backlog: Numbers) -> int:
        """A mask of the deliveries whose last record is a task, open transactions included."""
        mask = 0
        for number in backlog:
            about = self._about(number)
            bit = 1 << about.delivery
            mask = mask & ~bit if about.tombstone else mask | bit
        return mask

    def _about(self, number: int) -> About:
        return self._catalogue.about(number)
