"""The publisher for services with threads."""

import time
import weakref
from types import TracebackType
from typing import Self

from hooklane.producer.configuration import Properties
from hooklane.producer.encoding import EventEncoder, KeyFunction, Mode, no_key
from hooklane.producer.errors import QueueFullError
from hooklane.producer.event import NewEvent
from hooklane.producer.reports import Published, Receipt
from hooklane.producer.sender import Sender

_FULL_WAIT_S = 0.05


class EventPublisher:
    """Publishes events to Kafka as CloudEvents; idempotent, thread-safe.

        with EventPublisher({"bootstrap.servers": "kafka:9092"}, source="/billing") as publisher:
            publisher.publish("billing.events", NewEvent(type="invoice.paid", key="c-42", data={}))

    `properties` are librdkafka's. `source` and `key` stand in for events without their own.
    `max_wait_s` is how long a full queue may hold a caller up. Leaving the `with` block, `close`
    and the end of the process wait until Kafka has answered for every event.
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
        self._at_exit = weakref.finalize(self, self._sender.close_forgotten)

    def publish(self, topic: str, event: NewEvent) -> Published:
        """Publish one event and wait until Kafka has it.

        Raises:
            InvalidEventError, QueueFullError, ClosedError: nothing was sent.
            DeliveryError: Kafka did not take it, or nobody knows whether it did.
        """
        return self.submit(topic, event).result()

    def submit(self, topic: str, event: NewEvent) -> Receipt:
        """Hand one event over and go on; the receipt tells what became of it.

        A failure that nobody asks a receipt for is raised by `flush` and `close`. Waits while the
        queue is full.

        Raises:
            InvalidEventError, QueueFullError, ClosedError, DeliveryError: nothing was sent.
        """
        record = self._encoder.encode(topic, event)
        receipt = Receipt(record.event_id, self._sender.failures, self._sender.attend)
        if self._sender.try_send(record, receipt.settle):
            self._sender.serve_between()
            return receipt
        end = time.monotonic() + self._max_wait_s
        while time.monotonic() < end:
            self._sender.serve(_FULL_WAIT_S)
            if self._sender.try_send(record, receipt.settle):
                return receipt
        raise QueueFullError(
            f"the queue had no room for event {event.id} for {self._max_wait_s:g} s: "
            "Kafka takes events more slowly than they are published"
        )

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until Kafka has answered for every event so far.

        Raises:
            UnfinishedError: it has not for some.
            UndeliveredError: some failed and nobody had asked their receipts.
        """
        self._sender.flush(timeout_s)

    def close(self, timeout_s: float = 30.0) -> None:
        """Flush, then end. Raises what `flush` does; a second time does nothing."""
        self._at_exit.detach()
        self._sender.close(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
