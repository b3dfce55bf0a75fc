"""The publisher for services with threads."""

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from hooklane.producer.configuration import Properties, with_transactional_id
from hooklane.producer.encoding import EventEncoder, KeyFunction, Mode, no_key
from hooklane.producer.errors import QueueFullError
from hooklane.producer.event import NewEvent
from hooklane.producer.reports import Published, Receipt
from hooklane.producer.sender import Sender, Sending
from hooklane.producer.transactions import scope_of
from hooklane.producer.typed import Schemas, schemas_of
from hooklane.schemas.event_types import EventTypes

_FULL_WAIT_S = 0.05


class BasePublisher:
    """A publisher over any `Sending`; what is the same for Kafka and for tests."""

    def __init__(self, encoder: EventEncoder, sender: Sending, max_wait_s: float) -> None:
        self._encoder = encoder
        self._sender = sender
        self._max_wait_s = max_wait_s
        self._turn = Lock()
        self._at_exit = weakref.finalize(self, sender.close_forgotten)

    def publish(self, topic: str, event: NewEvent) -> Published:
        """Publish one event and wait until Kafka has it.

        Raises:
            InvalidEventError, RegistryError, QueueFullError, ClosedError: nothing was sent.
            DeliveryError: Kafka did not take it, or nobody knows whether it did.
        """
        return self.submit(topic, event).result()

    def submit(self, topic: str, event: NewEvent) -> Receipt:
        """Hand one event over and go on; the receipt tells what became of it.

        A failure that nobody asks a receipt for is raised by `flush` and `close`. Waits while the
        queue is full.

        Raises:
            InvalidEventError, RegistryError, QueueFullError, ClosedError, DeliveryError:
                nothing was sent.
        """
        record = self._encoder.encode(topic, event)
        sender = self._sender
        receipt = Receipt(sender, topic, event.id)
        if sender.try_send(record, receipt.reported):
            sender.serve_between()
            return receipt
        end = time.monotonic() + self._max_wait_s
        while time.monotonic() < end:
            sender.serve(_FULL_WAIT_S)
            if sender.try_send(record, receipt.reported):
                return receipt
        raise QueueFullError(event.id, self._max_wait_s)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is published in this block is there for readers as a whole, or not at all.

        Committed at the end of the block, aborted where an exception leaves it. One at a time:
        another thread's waits. Readers need `isolation.level=read_committed`. A `Published` of
        the block holds once the block has ended well.

        Raises:
            ConfigurationError, NoTransactionError, ClosedError: it was not begun.
            TransactionAbortedError: it did not come to be; do it again if it is still wanted.
            TransactionUnknownError: nobody knows.
            FencedError: another publisher has the `transactional_id`.
        """
        scope = scope_of(self._sender.scope)
        scope.check_outside()
        with self._turn:
            self._sender.begin()
            with scope.entered():
                try:
                    yield
                except BaseException:
                    self._sender.abort()
                    raise
                self._sender.commit()

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


class EventPublisher(BasePublisher):
    """Publishes events to Kafka as CloudEvents; idempotent, thread-safe.

        with EventPublisher({"bootstrap.servers": "kafka:9092"}, source="/billing") as publisher:
            publisher.publish("billing.events", NewEvent(type="invoice.paid", key="c-42", data={}))

    `properties` are librdkafka's. `source` and `key` stand in for events without their own.
    `schemas`, a folder or more about it, are those of event types: data is judged by them, and
    becomes Avro where they are. `max_wait_s` is how long a full queue may hold a caller up. With
    a `transactional_id`, which no other publisher may have at the same time, events are published
    in `transaction()` only. Leaving the `with` block, `close` and the end of the process wait
    until Kafka has answered for every event.
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
