"""Writes what the retrier knows: idempotently, in order, acknowledged.

librdkafka tells of acknowledgements in `poll`, which a thread of its own calls; they reach the
event loop in batches. The producer repeats what a broker did not take for as long as it takes, and
lets nothing overtake it. What Kafka refuses for good (rights, sizes) is not written again behind
what came after it, since the order of a lane's tombstones matters: the service ends with the
reason, and a new one begins with what is in Kafka.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Message

from hooklane.retrier.written import Write
from hooklane.schemas.outgoing import Record

log = structlog.get_logger(__name__)

_POLL_S = 0.05


class Producer(Protocol):
    """The part of confluent_kafka.Producer that is needed."""

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes,
        partition: int,
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None: ...
    def poll(self, timeout: float) -> int: ...


class Acked(NamedTuple):
    """A write that is in Kafka for good, at this offset."""

    write: Write
    offset: int


def _nobody(_: Sequence[Acked]) -> None:
    """Before the start nothing is acknowledged."""


def _unheard(_: str) -> None:
    """Before the start nothing is written."""


class FactWriter:
    """Acknowledgements are told in the event loop, in the order of their records."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._acked: Callable[[Sequence[Acked]], None] = _nobody
        self._failed: Callable[[str], None] = _unheard
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Write, Record]] = deque()
        self._unacked = 0
        self._reports: list[tuple[Write, Record, KafkaError | None, int]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="acks", daemon=True)

    def start(
        self, acked: Callable[[Sequence[Acked]], None], failed: Callable[[str], None]
    ) -> None:
        """From now on `acked` is told; `failed` when Kafka refuses for good."""
        self._acked = acked
        self._failed = failed
        self._thread.start()

    async def stop(self) -> None:
        """What is not acknowledged by now is left: `flush` comes first."""
        self._stopping.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def write(self, write: Write, record: Record) -> None:
        """Write it after all that was written before."""
        self._unacked += 1
        self._idle.clear()
        self._waiting.append((write, record))
        self._produce_waiting()

    async def flush(self, seconds: float) -> bool:
        """Wait until everything is acknowledged; False if that took too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _produce_waiting(self) -> None:
        while self._waiting:
            write, record = self._waiting[0]
            try:
                self._produce(write, record)
            except BufferError:
                self._loop.call_later(_POLL_S, self._produce_waiting)
                return
            self._waiting.popleft()

    def _produce(self, write: Write, record: Record) -> None:
        def report(error: KafkaError | None, message: Message) -> None:
            self._reports.append((write, record, error, message.offset() or 0))

        self._producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            on_delivery=report,
        )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                log.warning("writer.error", error=str(error))
            if self._reports:
                reports, self._reports = self._reports, []
                self._loop.call_soon_threadsafe(self._reported, reports)

    def _reported(self, reports: Sequence[tuple[Write, Record, KafkaError | None, int]]) -> None:
        acked = []
        for write, record, error, offset in reports:
            if error is None:
                acked.append(Acked(write, offset))
            else:
                self._refused(record, error)
                break
        self._unacked -= len(acked)
        if acked:
            self._acked(acked)
        if self._unacked == 0:
            self._idle.set()

    def _refused(self, record: Record, error: KafkaError) -> None:
        """The first word is the one to tell; what comes after it follows from it."""
        self._acked = _nobody
        self._failed(
            f"Kafka refuses a record of {record.topic} ({error.str().rstrip('.')}): check the "
            "rights of this service, and `hooklane topics check`."
        )
