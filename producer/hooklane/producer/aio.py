"""The publisher for asyncio services, over the same core."""

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeAlias

from hooklane.producer.configuration import Properties
from hooklane.producer.encoding import EventEncoder, KeyFunction, Mode, OutgoingRecord, no_key
from hooklane.producer.errors import DeliveryError, QueueFullError
from hooklane.producer.event import NewEvent
from hooklane.producer.reports import Failures, Published
from hooklane.producer.sender import Sender

Outcome: TypeAlias = Published | DeliveryError


class AsyncEventPublisher:
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
        max_wait_s: float = 60.0,
    ) -> None:
        self._encoder = EventEncoder(source, key, mode)
        self._sender = Sender(properties)
        self._max_wait_s = max_wait_s
        self._reports = _Reports(asyncio.get_running_loop(), self._sender.failures)
        self._turn = asyncio.Lock()
        self._at_exit = weakref.finalize(self, self._sender.close_forgotten)

    async def publish(self, topic: str, event: NewEvent) -> Published:
        """Publish one event and wait until Kafka has it; run several at once by tasks.

        Events are sent in the order in which the calls began. A cancelled call's event may be
        sent all the same; if it fails, `flush` and `close` raise it.

        Raises:
            InvalidEventError, QueueFullError, ClosedError: nothing was sent.
            DeliveryError: Kafka did not take it, or nobody knows whether it did.
        """
        record = self._encoder.encode(topic, event)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        # Those who wait for room queue up at the lock, so that none overtakes another.
        async with self._turn:
            if not self._sender.try_send(record, self._reports.to(future)):
                await self._send_when_there_is_room(record, future)
        outcome = await future
        if isinstance(outcome, DeliveryError):
            self._sender.failures.seen(outcome)
            raise outcome
        return outcome

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

    async def _send_when_there_is_room(
        self, record: OutgoingRecord, future: "asyncio.Future[Outcome]"
    ) -> None:
        try:
            async with asyncio.timeout(self._max_wait_s):
                while not self._sender.try_send(record, self._reports.to(future)):
                    await self._reports.next_batch()
        except TimeoutError as error:
            raise QueueFullError(
                f"the queue had no room for event {record.event_id} for {self._max_wait_s:g} s: "
                "Kafka takes events more slowly than they are published"
            ) from error


class _Reports:
    """Carries reports from the sender's thread to the loop, a batch at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failures: Failures) -> None:
        self._loop = loop
        self._failures = failures
        self._waiting: deque[tuple[asyncio.Future[Outcome], Outcome]] = deque()
        self._called = False
        self._batch = asyncio.Event()

    def to(self, future: "asyncio.Future[Outcome]") -> Callable[[Outcome], None]:
        def report(outcome: Outcome) -> None:
            if isinstance(outcome, DeliveryError):
                self._failures.add(outcome)
            self._waiting.append((future, outcome))
            if not self._called:
                self._called = True
                self._call()

        return report

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
            future, outcome = self._waiting.popleft()
            if not future.done():
                future.set_result(outcome)
        self._batch.set()
