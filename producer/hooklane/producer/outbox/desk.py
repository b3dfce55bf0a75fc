"""Which rows may go now, and what waits. Pure: told facts and the time, it says what to do.

A bucket is *opening* until its producer has fenced every earlier one; then *free*: its rows may be
read; *busy* while rows of it are on their way, or are published and not yet marked. Only the rows
of free buckets are read, and nothing of a queue that is *held*: one with a row that cannot be
published. So the next row of a queue goes only when all before it are published and marked.

    opening --opened--> free --take--> busy --done--> free
                                       busy --failed (who knows)--> opening

A bucket's rows of one turn are one transaction: when one is refused none is published, so that no
row can have overtaken the refused one. Kafka may name a whole batch for the sake of one record, so
that only a row that was refused alone is bad: after a refusal, or a failure, the bucket's next
batch is half as large, and batches grow again as they come through.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.outbox.layout import OnBadRow
from hooklane.producer.outbox.route import BadRowError
from hooklane.producer.outbox.row import Row


class Fault(Enum):
    """What Kafka's refusal of a record is about."""

    ROW = "row"
    """This record is refused whenever it comes: it is too large, for example."""
    TOPIC = "topic"
    """The topic is not there, or not ours to write: what goes there waits."""


@dataclass(frozen=True, slots=True)
class Refusal:
    fault: Fault
    reason: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be published. `aside`: the reason is to be written into it."""

    row: Row
    reason: str
    aside: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one bucket, and the record of each, for one transaction."""

    bucket: int
    rows: tuple[Row, ...]
    records: tuple[OutgoingRecord, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What to do with rows that were read. First `bad` is written down, then `batches` go."""

    batches: tuple[Batch, ...]
    bad: tuple[Bad, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Which rows to read: of these buckets, and none of these queues and aggregatetypes."""

    buckets: tuple[int, ...]
    queues: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class _State(Enum):
    OPENING = "opening"
    FREE = "free"
    BUSY = "busy"


class Desk:
    """`again_s`: how long a queue is held before its row is looked at again; somebody may have
    mended it. `record` makes the record of a row, or raises BadRowError."""

    def __init__(
        self, record: Callable[[Row], OutgoingRecord], on_bad_row: OnBadRow, again_s: float
    ) -> None:
        self._record = record
        self._skips = on_bad_row is OnBadRow.SKIP
        self._again_s = again_s
        self._states: dict[int, _State] = {}
        self._leaving: set[int] = set()
        self._largest: dict[int, int] = {}
        self._queues: dict[str, float] = {}
        self._types: dict[str, float] = {}

    @property
    def buckets(self) -> tuple[int, ...]:
        """Those that are ours, also while they are opening."""
        return tuple(self._states)

    @property
    def held(self) -> int:
        """How many queues and aggregatetypes are held."""
        return len(self._queues) + len(self._types)

    def busy(self, bucket: int) -> bool:
        return self._states.get(bucket) is _State.BUSY

    def add(self, bucket: int) -> None:
        """It is locked for us; nothing of it is read before `opened`."""
        self._states[bucket] = _State.OPENING

    def opened(self, bucket: int) -> None:
        """Nothing that an earlier owner has sent can come to Kafka any more."""
        self._states[bucket] = _State.FREE

    def leave(self, bucket: int) -> None:
        """It is to be given back: nothing more of it is read."""
        self._leaving.add(bucket)

    def left(self) -> list[int]:
        """What can be given back now."""
        return [one for one in self._leaving if self._states[one] is _State.FREE]

    def remove(self, bucket: int) -> None:
        """It was given back."""
        del self._states[bucket]
        self._leaving.discard(bucket)

    def ask(self, now: float) -> Ask | None:
        """What to read; None while there is no free bucket."""
        for held in (self._queues, self._types):
            for one in [one for one, until in held.items() if until <= now]:
                del held[one]
        free = tuple(
            one
            for one, state in self._states.items()
            if state is _State.FREE and one not in self._leaving
        )
        return Ask(free, tuple(self._queues), tuple(self._types)) if free else None

    def take(self, rows: Iterable[Row], now: float) -> Work:
        """These were read as it was asked for, in order of their positions."""
        batches: dict[int, tuple[list[Row], list[OutgoingRecord]]] = defaultdict(lambda: ([], []))
        bad: list[Bad] = []
        for row in rows:
            taken, records = batches[row.bucket]
            if row.queue in self._queues or len(taken) == self._largest.get(row.bucket):
                continue
            try:
                record = self._record(row)
            except BadRowError as error:
                bad.append(self._cannot(row, str(error), now))
            else:
                taken.append(row)
                records.append(record)
        work = [Batch(one, tuple(taken), tuple(made)) for one, (taken, made) in batches.items()]
        going = tuple(one for one in work if one.rows)
        for batch in going:
            self._states[batch.bucket] = _State.BUSY
        return Work(going, tuple(bad))

    def done(self, batch: Batch) -> None:
        """All of its rows are published, and marked."""
        self._states[batch.bucket] = _State.FREE
        if batch.bucket in self._largest:
            self._largest[batch.bucket] = 2 * len(batch.rows)

    def refused(self, batch: Batch, refusals: Mapping[int, Refusal], now: float) -> Sequence[Bad]:
        """Kafka refused the records at these places of the batch, and nothing was published.

        The bucket stays busy until `again` is told: until what is to be set aside is set aside.
        """
        topics = {one.topic for one in batch.records}
        bad: list[Bad] = []
        for place, refusal in sorted(refusals.items()):
            row = batch.rows[place]
            match refusal.fault:
                case Fault.ROW if len(batch.rows) == 1:
                    bad.append(self._cannot(row, refusal.reason, now))
                case Fault.TOPIC if len(topics) == 1 or len(refusals) < len(batch.rows):
                    bad += self._not_there(row, refusal.reason, now)
                case Fault.ROW | Fault.TOPIC:
                    self._largest[batch.bucket] = len(batch.rows) // 2
                case _:
                    assert_never(refusal.fault)
        return bad

    def again(self, batch: Batch) -> None:
        """What there is to say about its refused rows is written down: the rest may come."""
        self._states[batch.bucket] = _State.FREE

    def failed(self, batch: Batch) -> None:
        """Nobody knows what became of it: its rows are read again, once `opened` is told.

        Fewer at once: it may have been more than a transaction has time for.
        """
        self._states[batch.bucket] = _State.OPENING
        self._largest[batch.bucket] = max(1, len(batch.rows) // 2)

    def _cannot(self, row: Row, reason: str, now: float) -> Bad:
        if not self._skips:
            self._queues[row.queue] = now + self._again_s
        return Bad(row, reason, aside=self._skips)

    def _not_there(self, row: Row, reason: str, now: float) -> Iterable[Bad]:
        """All that goes to this topic waits; it is said once."""
        of_type = row.aggregatetype or ""
        if of_type not in self._types:
            self._types[of_type] = now + self._again_s
            yield Bad(row, reason, aside=False)
