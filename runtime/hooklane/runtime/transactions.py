"""Transactions: records and offsets become visible together, or not at all.

A transaction that names the group's metadata is refused by the broker when another member owns
the group's partitions by now (KIP-447). So every transaction sends an offset of each partition
that it writes about, also where that has not moved. Both services write so: what an owner that was
cut off has on its way ends, one way or the other, before its successor is told the offset that it
begins at.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from hooklane.runtime.errors import BrokerError, HooklaneError
from hooklane.runtime.threads import OneThread

log = structlog.get_logger(__name__)

R = TypeVar("R")

_REOPEN_S = 0.5
_END_S = 15.0
_KEPT = 2
"""Producers that are not used any more, and not taken apart yet: that may wait, too."""
_MOST_STUCK = 5
"""In a row: each leaves a thread and a client behind, until Kafka answers."""
_LATE_S = 5.0
"""By so much, and by its deadline once more, a call of Kafka's client may be late."""


class CommitResult(Enum):
    """What is known of a transaction."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    """For certain: the same shares may be tried again, with metadata of a later poll."""
    UNKNOWN = "unknown"
    """Fenced, or nobody can say: the partitions' work has to be dropped and restored."""


Heard = Callable[[KafkaError | None, Message], None]


class Produced(Protocol):
    """What a record is made of. A partition below zero is the partitioner's to choose."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Outgoing(NamedTuple):
    """A record of a transaction. `heard` is told where it is, or why not, before that ends."""

    record: Produced
    heard: Heard | None = None
    headers: list[tuple[str, bytes]] | None = None


class Log(Protocol):
    """Who is told what became of transactions."""

    def info(self, event: str, **facts: object) -> object: ...
    def warning(self, event: str, **facts: object) -> object: ...


class TransactionalProducer(Protocol):
    """The part of confluent_kafka.Producer that a transaction needs."""

    def init_transactions(self, timeout: float) -> None: ...
    def begin_transaction(self) -> None: ...
    @property
    def produce(self) -> Callable[..., None]: ...
    def poll(self, timeout: float) -> int: ...
    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float
    ) -> None: ...
    def commit_transaction(self, timeout: float) -> None: ...
    def abort_transaction(self, timeout: float) -> None: ...


class _AbortedError(Exception):
    """The transaction ended without effect."""

    def __init__(self, cause: KafkaError) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.timed_out = cause.code() == KafkaError._TIMED_OUT  # noqa: SLF001 - its own name


class StuckError(HooklaneError):
    """Kafka's client does not come back. Only a new process goes on."""


class TransactionWriter:
    """Writes one transaction after the other; blocking, for a thread of its own.

    `connect` makes a producer; a new one with the same transactional id fences the old one, so
    that whatever that had left open has ended before anything new begins. `timeout_s` bounds
    each step; it is below the session timeout. `log`: a service's, unless another one is given.
    """

    def __init__(
        self,
        connect: Callable[[], TransactionalProducer],
        timeout_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        log: Log = log,
    ) -> None:
        self._connect = connect
        self._log = log
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self.steps = 0
        """How often Kafka's client has been called: it comes back as long as this grows."""
        self.longest_s = timeout_s * 2 + _LATE_S
        """No call takes so long: its deadline is below."""
        self._producer: TransactionalProducer | None = None
        self.undone_by: KafkaError | None = None
        """Why the last transaction that was aborted was."""
        self._abandoned: deque[TransactionalProducer] = deque(maxlen=_KEPT)

    @property
    def is_open(self) -> bool:
        """Whether the next transaction is one of the producer that `open` has made last."""
        return self._producer is not None

    def open(self) -> None:
        """Connect and fence an earlier producer of the same name.

        Raises:
            KafkaException: it could not be done in time.
        """
        producer = self._connect()
        self._persist(lambda: producer.init_transactions(self._timeout_s), self._timeout_s * 3)
        self._producer = producer

    def write(
        self, records: Iterable[Outgoing], offsets: list[TopicPartition], metadata: object
    ) -> CommitResult:
        """One transaction with these records and offsets; without offsets nothing is checked."""
        producer = self._producer
        try:
            if producer is None:
                self.open()
                producer = self._producer
            assert producer is not None  # noqa: S101 - it has just been opened
            return self._write(producer, records, offsets, metadata)
        except KafkaException as error:
            self._log.warning("transaction.unknown", error=str(error.args[0]))
            self._drop(producer)
            return CommitResult.UNKNOWN

    def leave_behind(self) -> None:
        """The next transaction is another producer's, whatever becomes of the one under way: that
        is fenced before anything new begins, so that a late end of it does no harm."""
        self._producer = None

    def _drop(self, producer: TransactionalProducer | None) -> None:
        """It is not used again. Somebody may be at work with a later one already."""
        if self._producer is producer:
            self._producer = None

    def _write(
        self,
        producer: TransactionalProducer,
        records: Iterable[Outgoing],
        offsets: list[TopicPartition],
        metadata: object,
    ) -> CommitResult:
        try:
            self._step(producer, producer.begin_transaction)
            self._step(producer, partial(_produce, producer, deque(records)))
            if offsets:
                send = partial(producer.send_offsets_to_transaction, offsets, metadata)
                self._step(producer, lambda: send(self._timeout_s))
            self._step(producer, lambda: producer.commit_transaction(self._timeout_s))
        except _AbortedError as aborted:
            self._log.info("transaction.aborted", reason=str(aborted))
            self.undone_by = aborted.cause
            if aborted.timed_out:
                # Its records may be on their way still, so librdkafka wants another epoch; a
                # producer that had got one did not come back from its next transaction.
                self._abandoned.append(producer)
                self._drop(producer)
            return CommitResult.ABORTED
        return CommitResult.COMMITTED

    def _step(self, producer: TransactionalProducer, call: Callable[[], None]) -> None:
        """One call; an error that asks for an abort is answered by one.

        Raises:
            _AbortedError: the transaction was aborted for certain.
            KafkaException: nothing is certain.
        """
        try:
            self._persist(call, self._timeout_s)
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            if not cause.txn_requires_abort():
                raise
            self._persist(lambda: producer.abort_transaction(self._timeout_s), self._timeout_s)
            raise _AbortedError(cause) from error

    def _persist(self, call: Callable[[], None], seconds: float) -> None:
        """Repeat a call that may be repeated: librdkafka goes on where it stopped."""
        deadline = self._monotonic() + seconds
        while True:
            self.steps += 1
            try:
                return call()
            except KafkaException as error:
                if not error.args[0].retriable() or self._monotonic() >= deadline:
                    raise


class Writer(Protocol):
    """What the thread is for: a TransactionWriter, as far as the thread looks."""

    @property
    def steps(self) -> int: ...
    @property
    def longest_s(self) -> float: ...
    def open(self) -> None: ...
    def leave_behind(self) -> None: ...


class TransactionThread:
    """The thread on which a process' transactions are written, as the event loop sees it."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._thread = OneThread("transaction")
        self._stuck = 0
        """How many calls in a row have not come back."""

    async def call(self, function: Callable[..., R], *arguments: object) -> R:
        """Call it there, behind what was asked for before.

        Raises:
            StuckError: it has not come back.
        """
        loop = asyncio.get_running_loop()
        called = loop.run_in_executor(self._thread, function, *arguments)
        # All steps together may take minutes while no broker answers. What must not be is that a
        # single one does not end.
        steps, longest_s = -1, self._writer.longest_s
        while steps != self._writer.steps:
            steps = self._writer.steps
            done, _ = await asyncio.wait((called,), timeout=longest_s)
            if done:
                self._stuck = 0
                return called.result()
        called.cancel()
        # What hangs keeps its thread; whoever calls next has one that goes on.
        self._thread = OneThread("transaction")
        self._writer.leave_behind()
        self._stuck += 1
        log.warning("transaction.left_behind", seconds=longest_s)
        raise StuckError(
            f"Kafka's client has not come back from a transaction for {longest_s:.0f} s: look "
            "at the brokers; this service ends, to be started again."
        )

    async def write(
        self, function: Callable[..., CommitResult], *arguments: object
    ) -> CommitResult:
        """Call what writes a transaction. If it does not come back, nobody knows how that ends.

        Raises:
            StuckError: it was so several times in a row.
        """
        try:
            return await self.call(function, *arguments)
        except StuckError:
            if self._stuck >= _MOST_STUCK:
                raise
            return CommitResult.UNKNOWN

    async def open(self) -> None:
        """Fence whoever had this process' transactional id before.

        Raises:
            BrokerError: the transaction coordinator does not answer or refuses.
        """
        try:
            await self.call(self._writer.open)
        except KafkaException as error:
            raise BrokerError(
                f"Transactions cannot be begun ({error.args[0].str().rstrip('.')}): check the "
                "brokers, and the rights on the transactional id."
            ) from error

    async def reopen(self) -> None:
        """The same, however long Kafka does not answer.

        Raises:
            StuckError: its client did not come back, several times in a row.
        """
        while True:
            try:
                return await self.open()
            except BrokerError as error:
                log.warning("transaction.not_reopened", reason=str(error))
                await asyncio.sleep(_REOPEN_S)
            except StuckError:
                if self._stuck >= _MOST_STUCK:
                    raise

    def close(self) -> None:
        """Wait for what was asked for; blocking. librdkafka may not come back out of a transaction
        whose coordinator has gone: what it holds is nobody's then, and the broker ends it."""
        if not self._thread.end(_END_S):
            log.warning("transaction.does_not_end", seconds=_END_S)


def _produce(producer: TransactionalProducer, waiting: deque[Outgoing]) -> None:
    """What has been produced leaves `waiting`, so that this may be called again.

    All of them in one step: one each would double their price.
    """
    while waiting:
        record, heard, headers = waiting[0]
        told: dict[str, object] = {} if heard is None else {"on_delivery": heard}
        if headers is not None:
            told["headers"] = headers
        try:
            producer.produce(
                record.topic, value=record.value, key=record.key, partition=record.partition, **told
            )
        except BufferError:
            producer.poll(0.05)
        else:
            waiting.popleft()
