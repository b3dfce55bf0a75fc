"""The publisher for asyncio services, over the same core."""

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from confluent_kafka import KafkaError

from hooklane.producer.configuration import Properties, with_transactional_id
from hooklane.producer.encoding import EventEncoder, KeyFunction, Mode, OutgoingRecord, no_key
from hooklane.producer.errors import DeliveryError, QueueFullError
from hooklane.producer.event import NewEvent
from hooklane.producer.reports import Place, Published, Stored, place_of
from hooklane.producer.sender import Heard, Sender, Sending
from hooklane.producer.transactions import scope_of
from hooklane.producer.typed import Schemas, schemas_of
from hooklane.schemas.event_types import EventTypes

_log = logging.getLogger("hooklane.producer")

Outcome: TypeAlias = Place | DeliveryError
Waiting: TypeAlias = "asyncio.Future[Outcome]"


class BaseAsyncPublisher:
    """A publisher over any `Sending`; what is the same for Kafka and for tests."""

    def __init__(self, encoder: EventEncoder, sender: Sending, max_wait_s: float) -> None:
        self._encoder = encoder
        self._sender = sender
        self._max_wait_s = max_wait_s
        self._loop = asyncio.get_running_loop()
        self._reports = _Reports(self._loop, sender)
        self._held_up = 0
        self._turn = asyncio.Lock()
        self._transaction_turn = asyncio.Lock()
        self._at_exit = weakref.finalize(self, sender.close_forgotten)

    async def publish(self, topic: str, event: NewEvent) -> Published:
        """Publish one event and wait until Kafka has it; run several at once by tasks.

        Events are sent in the order in which the calls began. A cancelled call's event may be
        sent all the same; if it fails, `flush` and `close` raise it.

        Raises:
            InvalidEventError, RegistryError, QueueFullError, ClosedError: nothing was sent.
            DeliveryError: Kafka did not take it, or nobody knows whether it did.
        """
        waiting: Waiting = self._loop.create_future()
        if self._held_up or not self._encoder.ready(topic, event):
            await self._send_in_turn(topic, event, waiting)
        else:
            record = self._encoder.encode(topic, event)
            if not self._try_send(record, waiting):
                await self._send_in_turn(topic, event, waiting)
        outcome = await waiting
        if isinstance(outcome, DeliveryError):
            self._sender.failures.seen(outcome)
            raise outcome
        return Published(topic, *outcome, event.id)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """As `EventPublisher.transaction`; tasks that the block begins are in it, too.

        Another task's waits. Wait for the block's own tasks before it ends: those that have not
        published by then are refused.
        """
        scope = scope_of(self._sender.scope)
        scope.check_outside()
        async with self._transaction_turn:
            try:
                await _to_the_end(self._sender.begin)
            except asyncio.CancelledError:
                await _to_the_end(self._sender.abort)
                raise
            with scope.entered():
                try:
                    yield
                except BaseException:
                    await _to_the_end(self._sender.abort)
                    raise
                await _to_the_end(self._sender.commit)

    async def flush(self, timeout_s: float = 30.0) -> None:
        """As `EventPublisher.flush`."""
        await asyncio.to_thread(self._sender.flush, timeout_s)

    async def close(self, timeout_s: float = 30.0) -> None:
        """As `EventPublisher.close`."""
        self._at_exit.detach()
        await asyncio.to_thread(self._sender.close, timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _try_send(self, record: OutgoingRecord, waiting: Waiting) -> bool:
        return self._sender.try_send(record, self._reports.to(waiting, record))

    async def _send_in_turn(self, topic: str, event: NewEvent, waiting: Waiting) -> None:
        """Behind those who wait already, for room or for a registry; who comes later queues up
        behind, so that none overtakes another."""
        self._held_up += 1
        try:
            async with self._turn:
                if not self._encoder.ready(topic, event):
                    await asyncio.to_thread(self._encoder.prepare, topic, event)
                record = self._encoder.encode(topic, event)
                await self._send_when_there_is_room(record, waiting)
        finally:
            self._held_up -= 1

    async def _send_when_there_is_room(self, record: OutgoingRecord, waiting: Waiting) -> None:
        try:
            async with asyncio.timeout(self._max_wait_s):
                while not self._try_send(record, waiting):
                    await self._reports.next_batch()
        except TimeoutError as error:
            raise QueueFullError(record.event_id, self._max_wait_s) from error


class AsyncEventPublisher(BaseAsyncPublisher):
    """Publishes events to Kafka as CloudEvents, from one event loop; idempotent.

        async with AsyncEventPublisher({"bootstrap.servers": "kafka:9092"}, source="/x") as it:
            await it.publish("billing.events", NewEvent(type="invoice.paid", key="c-42", data={}))

    The arguments are `EventPublisher`'s. Make it inside the loop that uses it.
    """

    def __init__(
        self,
        properties: Properties,
        *,
        source: str | None = None,
        key: KeyFunction = no_key,
        mode: Mode = Mode.BINARY,
        schemas: str | Path | EventTypes | Schemas | None = None,
        transactional_id: str | None = None,
        max_wait_s: float = 60.0,
    ) -> None:
        encoder = EventEncoder(source, key, mode, schemas_of(schemas))
        sender = Sender(with_transactional_id(properties, transactional_id))
        super().__init__(encoder, sender, max_wait_s)


class _Reports:
    """Carries reports from the sender's thread to the loop, a batch at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sender: Sending) -> None:
        self._loop = loop
        self._sender = sender
        self._waiting: deque[tuple[Waiting, Outcome]] = deque()
        self._called = False
        self._batch = asyncio.Event()

    def to(self, waiting: Waiting, record: OutgoingRecord) -> Heard:
        def heard(error: KafkaError | None, stored: Stored) -> None:
            if error is None:
                outcome: Outcome = place_of(stored)
            else:
                outcome = self._sender.failure(record.topic, record.event_id, error)
                self._sender.failures.add(outcome)
            self._waiting.append((waiting, outcome))
            if not self._called:
                self._called = True
                self._call()
            self._sender.out.pop()

        return heard

    async def next_batch(self) -> None:
        """Until reports have come, and with them room in the queue."""
        self._batch.clear()
        await self._batch.wait()

    def _call(self) -> None:
        # A loop that has been closed takes no calls: nobody waits for a future there any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._called = False
        while self._waiting:
            waiting, outcome = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(outcome)
        self._batch.set()


async def _to_the_end(call: Callable[[], None]) -> None:
    """A call on another thread. Cancelled or not, it is waited for: what comes next must not begin
    while a transaction is being ended."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if (failed := running.exception()) is not None:
            _log.warning("a cancelled task's transaction: %s", failed)
        raise cancelled
    running.result()
