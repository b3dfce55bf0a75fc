"""Writes what the retrier knows, in order and acknowledged, in transactions of its generation.

Whatever waits when a transaction begins is in it, in the order in which it was asked for; one
follows the other. What comes after a pause is written at once, and what follows it in handfuls: a
drain writes two records for each delivery, and a transaction for every few of them would cost the
broker more than the deliveries. Each names the group's metadata and the backlog partitions that it
is about, so that what a retrier which was cut off has left is refused. Its successor asks for the
committed offset before it restores, which is told only when no transaction is open that could still
be committed (rule 7): a tombstone or a release that became visible later would be one that the
successor has not taken into account.

After a certain abort the same is written again, before anything else. When nobody can say how a
transaction ended, all work is dropped, and begun again from what is in Kafka. What Kafka refuses
for good (rights, sizes) ends the service with the reason, and a new one begins with what is there.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from hooklane.retrier.written import Write, backlog_partition
from hooklane.runtime.errors import said_of
from hooklane.runtime.transactions import CommitResult, Outgoing, TransactionThread, Writer
from hooklane.schemas.outgoing import Record

log = structlog.get_logger(__name__)

_MOST = 5000
"""Records of a transaction; and how many may wait before nothing more begins."""
_HANDFUL_S = 0.05
"""How long records are gathered while others have just been written."""
_AGAIN_S = 0.05
_REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


class Transactions(Writer, Protocol):
    """What writes one transaction (runtime.transactions); blocking."""

    def write(
        self, records: Iterable[Outgoing], offsets: list[TopicPartition], metadata: object
    ) -> CommitResult: ...


class Group(Protocol):
    """What the poll thread has said about the group, in the event loop's order."""

    @property
    def metadata(self) -> bytes | None: ...


class Acked(NamedTuple):
    """A write that is in Kafka for good, at this offset."""

    write: Write
    offset: int


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told, in the event loop: of what is in Kafka, in the order in which it was asked for;
    of what it refuses for good; and that nobody knows how a transaction ended."""

    acked: Callable[[Sequence[Acked]], None]
    failed: Callable[[str], None]
    unknown: Callable[[], None]


@dataclass(slots=True, eq=False)
class _Item:
    write: Write
    record: Record
    partition: int | None
    begun: int = 0
    """The transaction that it is in."""
    offset: int = 0
    refusal: KafkaError | None = None

    def heard(self, error: KafkaError | None, message: Message) -> None:
        """Called in the transaction's thread."""
        self.offset = message.offset() or 0
        if error is not None and error.code() in _REFUSALS:
            self.refusal = error


class FactWriter:
    """`backlog` is the backlog's topic, of which transactions name partitions."""

    def __init__(self, transactions: Transactions, backlog: str) -> None:
        self._transactions = transactions
        self._backlog = backlog
        self._group: Group | None = None
        self._position: Callable[[int], int] = lambda _: 0
        self._told: Told | None = None
        self._waiting: deque[_Item] = deque()
        self._begun = 0
        self._wanted = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = TransactionThread(transactions)
        self.open, self.reopen = self._thread.open, self._thread.reopen
        self._task: asyncio.Task[None] | None = None

    def start(self, group: Group, position: Callable[[int], int], told: Told) -> None:
        """From now on it is written. `position`: how far a backlog partition has been read."""
        self._group, self._position, self._told = group, position, told
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """What is not in Kafka by now is left: `flush` comes first."""
        if self._task is not None:
            self._task.cancel()
            # What it failed of, if it did, is told already.
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.close)

    def write(self, write: Write, record: Record) -> None:
        """Write it after all that was written before."""
        self._waiting.append(_Item(write, record, backlog_partition(write)))
        self._idle.clear()
        self._wanted.set()

    def drop(self, partition: int) -> None:
        """The backlog partition is somebody else's: nothing more is written about it."""
        self._waiting = deque(one for one in self._waiting if one.partition != partition)
        self._look_idle()

    @property
    def is_behind(self) -> bool:
        """Whether so much is not in Kafka that nothing more should begin: while the brokers are
        away, memory must not grow with what could be delivered meanwhile, nor with it what a crash
        would have repeated."""
        return len(self._waiting) >= _MOST

    async def flush(self, seconds: float) -> bool:
        """Wait until everything is in Kafka, gathering nothing; False if that took too long."""
        self._hurry.set()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self._hurry.clear()
        return True

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._waiting:
                if await self._write_some():
                    await self._gather()
                else:
                    await asyncio.sleep(_AGAIN_S)

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(_HANDFUL_S):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _write_some(self) -> bool:
        """One transaction; whether it is in Kafka."""
        group, told = self._group, self._told
        assert group is not None  # noqa: S101 - `start` has set both
        assert told is not None  # noqa: S101
        metadata = group.metadata
        if metadata is None:
            return False
        self._begun += 1
        batch = list(islice(self._waiting, _MOST))
        for one in batch:
            one.begun = self._begun
        partitions = sorted({one.partition for one in batch if one.partition is not None})
        offsets = [TopicPartition(self._backlog, at, self._position(at)) for at in partitions]
        records = [Outgoing(one.record, one.heard) for one in batch]
        result = await self._thread.write(self._transactions.write, records, offsets, metadata)
        match result:
            case CommitResult.COMMITTED:
                self._committed(told)
            case CommitResult.ABORTED:
                self._refused(batch, told)
            case CommitResult.UNKNOWN:
                self._waiting.clear()
                self._look_idle()
                told.unknown()
        return result is CommitResult.COMMITTED

    def _committed(self, told: Told) -> None:
        """What was dropped meanwhile is of no interest here any more."""
        acked = []
        while self._waiting and self._waiting[0].begun == self._begun:
            one = self._waiting.popleft()
            acked.append(Acked(one.write, one.offset))
        told.acked(acked)
        self._look_idle()

    def _refused(self, batch: Sequence[_Item], told: Told) -> None:
        refused = next((one for one in batch if one.refusal is not None), None)
        if refused is not None and refused.refusal is not None:
            reason = refused.refusal.str().rstrip(".")
            told.failed(
                f"Kafka refuses a record of {refused.record.topic} ({reason}): check the rights of "
                "this service, and `hooklane topics check`."
            )

    def _look_idle(self) -> None:
        if not self._waiting:
            self._idle.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("writer.failed", exc_info=error)
            if self._told is not None:
                self._told.failed(said_of(error))
