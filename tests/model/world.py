"""The state that is explored: an abstract Kafka, the owners, and what is known of the truth.

A log is a tuple of record numbers (`Catalogue`). Records of an open transaction are negative and
tell whose it is: a reader with `read_committed` stops at the first of them (the last stable
offset).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cache
from struct import Struct
from typing import NamedTuple

from tests.model.scene import About, Catalogue, Log

Numbers = tuple[int, ...]
GAP = 0
"""An offset without a record."""


class Writer(IntEnum):
    """Whose transaction it is. An owner that was cut off is another writer than its successor."""

    FANOUT = 0
    RETRIER = 1
    CUT_FANOUT = 2
    CUT_RETRIER = 3


class Phase(Enum):
    """How far a transaction is."""

    LEFT_OPEN = "left open"
    """Its producer is gone, or will be refused for its generation: it will be aborted."""
    OFFERED = "offered"
    """The group has taken its offsets before its owner was cut off; its records are on their way.
    It may still be committed."""
    DECIDED = "decided"
    """Committed, its producer gone before it heard; partitions learn of it one by one."""
    ONE_BY_ONE = "one by one"
    """A mutant's: no transaction at all, `queued` is what is not written yet."""


class Transaction(NamedTuple):
    """`offset` is None once the group has it. `letters` is a mask of deliveries."""

    phase: Phase
    offset: int | None
    letters: int = 0
    queued: tuple[Numbers, ...] = ()


NO_TRANSACTIONS: tuple[Transaction | None, ...] = (None, None, None, None)


class RetrierState(Enum):
    """Without its spool a new retrier first reads what lanes are blocked."""

    UP = "up"
    DOWN = "down"
    DOWN_WITHOUT_SPOOL = "down without spool"
    ANEW = "has read what lanes are blocked"


@dataclass(frozen=True, slots=True)
class CutOff:
    """An owner that is none any more, and does not know it: it goes on as it likes."""

    owner: int
    tail: int = 0
    read: int = 0
    read_tiers: Numbers = (0, 0)


@dataclass(frozen=True, slots=True)
class Aside:
    """The spool of an earlier owner, as it was when that lost the partition."""

    retrier: int
    read: int


class World(NamedTuple):
    """Owners are numbers of the `Cast`, -1 where there is none.

    `logs` are the lanes, the backlog and the tiers. `tail` is how far the fan-out has followed the
    lanes topic, `read` and `read_tiers` how far the retrier has read; `loose` are lane records that
    a mutant writes outside of its transaction.

    Of the truth, as masks of deliveries: `known` were delivered and their owner heard it,
    `lettered` are in the dead letters, `void` went with their topic before anybody took them,
    `belated` were delivered by an owner that was cut off.
    `last` and `top` are, of each lane, the sequence that the receiver accepted last and the
    highest, late arrivals not counted. `floors` is, of each delivery, the number of attempts that
    the present retrier must know of. `era` is 1 once the topic was made again.
    """

    fanout: int
    retrier: int
    retrier_state: RetrierState
    cut_fanout: CutOff | None
    cut_retrier: CutOff | None
    aside: Aside | None
    committed: int
    logs: tuple[Numbers, ...]
    transactions: tuple[Transaction | None, ...]
    tail: int
    read: int
    read_tiers: Numbers
    loose: Numbers
    known: int
    lettered: int
    void: int
    belated: int
    last: Numbers
    top: Numbers
    floors: Numbers
    era: int
    failures: int
    refusals: int
    fanout_crashes: int
    retrier_crashes: int
    fanout_zombies: int
    retrier_zombies: int
    aborts: int
    skips: int

    @property
    def lanes(self) -> Numbers:
        return self.logs[Log.LANES]

    @property
    def backlog(self) -> Numbers:
        return self.logs[Log.BACKLOG]

    @property
    def tiers(self) -> tuple[Numbers, ...]:
        return self.logs[Log.TIER :]

    def with_log(self, log: Log, numbers: Numbers) -> "World":
        return self._replace(logs=(*self.logs[:log], numbers, *self.logs[log + 1 :]))

    def with_transaction(self, writer: Writer, transaction: Transaction | None) -> "World":
        others = self.transactions
        return self._replace(transactions=(*others[:writer], transaction, *others[writer + 1 :]))


def stable(log: Numbers) -> int:
    """The last stable offset."""
    if is_stable(log):
        return len(log)
    for offset, number in enumerate(log):
        if number < 0:
            return offset
    return len(log)


def is_stable(log: Numbers) -> bool:
    return not log or min(log) >= 0


_WRITERS = len(Writer)


def hidden(numbers: Numbers, writer: Writer) -> Numbers:
    """Records of this writer's open transaction."""
    return tuple([-(number * _WRITERS + writer) for number in numbers])


def bare(number: int) -> int:
    """The record's number in the catalogue, hidden or not."""
    return number if number >= 0 else -number // _WRITERS


def committed(log: Numbers, writer: Writer) -> Numbers:
    """The log once this writer's open transaction is committed."""
    return tuple([-one // _WRITERS if _is_of(one, writer) else one for one in log])


def aborted(log: Numbers, writer: Writer) -> Numbers:
    """The log once it is aborted: nobody ever sees those records."""
    return tuple([one for one in log if not _is_of(one, writer)])


def with_gaps(log: Numbers, writer: Writer) -> Numbers:
    """The same for a log of which somebody remembers offsets: the others stay where they are."""
    return tuple([GAP if _is_of(one, writer) else one for one in log])


def waits(log: Numbers, writer: Writer) -> bool:
    """Whether the log has records of this writer's open transaction."""
    return any(_is_of(one, writer) for one in log)


def _is_of(number: int, writer: Writer) -> bool:
    return number < 0 and -number % _WRITERS == writer


class Found(NamedTuple):
    """A log as a reader from its start may find it, and what the cleaner has done to it."""

    how: str
    log: Numbers


class Cleaner:
    """Compaction, and the forgetting of what no reader can tell any more."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.tidy = cache(self._tidy)
        self.compactions = cache(self._compactions)
        self.unresolved = cache(self._unresolved)

    def _compactions(self, log: Numbers, keeps_tombstones: bool = False) -> tuple[Found, ...]:
        """A log without open records, as the cleaner may have left it: it has been over a part
        from the start, up to any record, and has removed the tombstones of a part of that."""
        found = {log: "nothing compacted"}
        for cleaned in range(1, len(log) + 1):
            newest = {self._about(number).key: at for at, number in enumerate(log[:cleaned])}
            kept = [at for at in range(cleaned) if newest[self._about(log[at]).key] == at]
            for old in range(1 if keeps_tombstones else cleaned + 1):
                left = [at for at in kept if at >= old or not self._about(log[at]).tombstone]
                text = f"compacted below {cleaned}, tombstones gone below {old}"
                found.setdefault((*(log[at] for at in left), *log[cleaned:]), text)
        return tuple(Found(how, numbers) for numbers, how in found.items())

    def _tidy(self, log: Numbers, behind: int) -> tuple[Numbers, int]:
        """The log with everything below `behind` in the shortest form, and how long that is.

        Nobody will read those records one by one any more: only from the start to an end beyond
        them. Such a reader ends alike whether or not a record is there twice, and of lane records
        it takes, by key, the highest since the last tombstone that compaction has left: one of
        those above which nothing higher comes.
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
        stairs: list[int] = []
        for number in numbers:
            about = self._about(number)
            while stairs and (about.tombstone or self._about(stairs[-1]).number <= about.number):
                stairs.pop()
            if not about.tombstone:
                stairs.append(number)
        return stairs

    def _unresolved(self, backlog: Numbers) -> int:
        """A mask of the deliveries whose last record is a task, open transactions included."""
        by_key: dict[bytes, int] = {}
        for number in backlog:
            about = self._about(number)
            by_key[about.key] = 0 if about.tombstone else 1 << about.delivery
        mask = 0
        for bit in by_key.values():
            mask |= bit
        return mask

    def _about(self, number: int) -> About:
        return self._catalogue.about(bare(number))


_LOGS_AT = World._fields.index("logs")


class Packer:
    """A state as few bytes, and back. Exact: each value that occurs is numbered once.

    Values of different fields may share a number if they are equal, so that a field's type must
    not be equal to another's (a NamedTuple is equal to a tuple, a dataclass is not).
    """

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._values: list[object] = []
        self._bytes = Struct(f"<{len(World._fields) - 1 + len(Log) - 1}I")

    def pack(self, world: World) -> bytes:
        parts = (*world[:_LOGS_AT], *world.logs, *world[_LOGS_AT + 1 :])
        try:
            return self._bytes.pack(*map(self._numbers.__getitem__, parts))
        except KeyError:
            for part in parts:
                if part not in self._numbers:
                    self._numbers[part] = len(self._values)
                    self._values.append(part)
            return self.pack(world)

    def unpack(self, packed: bytes) -> World:
        values = [self._values[number] for number in self._bytes.unpack(packed)]
        end = _LOGS_AT + len(Log) - 1
        return World._make([*values[:_LOGS_AT], tuple(values[_LOGS_AT:end]), *values[end:]])
