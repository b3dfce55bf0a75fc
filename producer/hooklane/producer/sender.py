"""The core of both publishers: a Kafka producer and the thread that serves its reports."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer

from hooklane.producer.configuration import Properties, is_transactional, publisher_properties
from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.errors import (
    ClosedError,
    ConfigurationError,
    DeliveryError,
    PublishError,
    TransactionAbortedError,
    UnfinishedError,
)
from hooklane.producer.reports import Failures, Out, Stored
from hooklane.producer.transactions import Scope, TransactionalProducer, Transactions

Heard: TypeAlias = Callable[[KafkaError | None, Stored], None]
"""Told once what became of a record, on the sender's thread or a flushing one; takes one off
`Sending.out`, and must not raise."""

_log = logging.getLogger("hooklane.producer")
_POLL_S = 0.2
_FORGOTTEN_S = 30.0
_PURGE_S = 5.0
_STAND_BACK_S = 0.02
"""Nor does a report wait for longer than this where events are rare."""
_SENDS = 8
_TRANSACTION_S = 60.0
_KEPT = 2
"""Producers that are not used any more, and not taken apart yet: that may wait for brokers."""
_UNREACHED = frozenset(("_MSG_TIMED_OUT", "_TRANSPORT"))


class Sending(Protocol):
    """What a publisher needs of Kafka; `testing` has one without."""

    @property
    def failures(self) -> Failures: ...
    @property
    def out(self) -> Out: ...
    @property
    def scope(self) -> Scope | None:
        """None: there are no transactions here."""

    def try_send(self, record: OutgoingRecord, heard: Heard) -> bool: ...
    def serve(self, timeout_s: float) -> None: ...
    def serve_between(self) -> None: ...
    def attend(self) -> None: ...
    def failure(self, topic: str, event_id: str, error: KafkaError) -> DeliveryError: ...
    def flush(self, timeout_s: float) -> None: ...
    def close(self, timeout_s: float) -> None: ...
    def close_forgotten(self) -> None: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...


class Sender:
    """Hands records to Kafka and says of each what became of it."""

    def __init__(self, properties: Properties) -> None:
        self.failures = Failures()
        self.out: Out = deque()
        self.scope = Scope() if is_transactional(properties) else None
        self._trouble = ""
        self._closed = False
        self._standing_back = False
        self._sent = 0
        self._waited_for = threading.Event()
        self._config = {
            "logger": _log,
            "error_cb": self._note,
            **publisher_properties(properties),
        }
        self._abandoned: deque[Producer] = deque(maxlen=_KEPT)
        self._producer = self._connected()
        self._used = False
        self._transactions = Transactions(self._renewed, _TRANSACTION_S)
        self._thread = threading.Thread(target=self._serve, name="hooklane-publisher", daemon=True)
        self._thread.start()

    def try_send(self, record: OutgoingRecord, heard: Heard) -> bool:
        """Hand a record over; False if the queue is full, then nothing has happened.

        Raises:
            ClosedError, NoTransactionError: the sender takes no records now.
            DeliveryError: Kafka's client refuses this record at once.
        """
        if self._closed:
            raise ClosedError("the publisher has been closed: make a new one")
        if self.scope is not None:
            self.scope.check_inside()
        topic, key, value, headers, event_id = record
        self.out.append(None)
        try:
            # A list of bytes is a list of what `produce` takes; to prove it would cost a copy.
            self._producer.produce(
                topic,
                value,
                key,
                headers=headers,  # type: ignore[arg-type]
                on_delivery=heard,
            )
        except BufferError:
            self.out.pop()
            return False
        except KafkaException as error:
            self.out.pop()
            raise self.failure(topic, event_id, error.args[0]) from error
        return True

    def serve(self, timeout_s: float) -> None:
        """Serve reports on this thread, while the queue is full."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            # A fatal error is raised by whatever call hears of it first. Each record is told by its
            # own report, and the thread that serves these must not end by it.
            self._note(error.args[0])

    def serve_between(self) -> None:
        """Serve what reports there are, every few sends; the sender's thread stands back.

        If both sent and served at once, each report would cost two changes of thread: 40 µs.
        """
        self._standing_back = True
        self._sent += 1
        if self._sent % _SENDS == 0:
            self.serve(0)

    def attend(self) -> None:
        """Somebody waits for a report: the sender's thread shall not stand back any longer."""
        self._waited_for.set()

    def failure(self, topic: str, event_id: str, error: KafkaError) -> DeliveryError:
        """What Kafka's client says about a record, with what it said about its brokers."""
        name, reason = error.name(), error.str()
        self._transactions.heard_failure(name)
        if self._trouble and name in _UNREACHED:
            reason = f"{reason}; {self._trouble}"
        return DeliveryError(topic, event_id, name, reason)

    def begin(self) -> None:
        """Begin a transaction; the first one ends what an earlier publisher of this id left open.

        Raises:
            ClosedError, TransactionError: there is none.
        """
        self._check_open()
        self._transactions.begin()

    def commit(self) -> None:
        """Make what was sent in the transaction visible; it waits for all reports.

        Raises:
            ClosedError: it was aborted when the publisher was closed.
            TransactionError: what is known instead. Nobody is told of its events' failures again.
        """
        self._check_open()
        self.attend()
        try:
            self._transactions.commit()
        except TransactionAbortedError as error:
            first = self.failures.forget()
            if first is None:
                raise
            raise TransactionAbortedError(f"{error}; {first}") from error
        except PublishError:
            self.failures.forget()
            raise

    def abort(self) -> None:
        """Give the transaction up, and with it what is still on its way."""
        if not self._closed:
            self.attend()
            self._transactions.abort()
            self.failures.forget()

    def flush(self, timeout_s: float) -> None:
        """Wait until Kafka has answered for every record.

        Raises:
            UnfinishedError: it has not for some.
            UndeliveredError: some failed, at any time, and nobody had looked.
        """
        end = time.monotonic() + timeout_s
        while self.out and (left_s := end - time.monotonic()) > 0:
            # Not `serve`: a flush does not wait for `linger.ms`.
            with suppress(KafkaException):
                self._producer.flush(min(left_s, _POLL_S))
        self.failures.raise_unseen()
        if left := len(self.out):
            raise UnfinishedError(left, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Flush and end the thread. Raises what `flush` does; a second time does nothing.

        What is still out then is given up, so that nobody waits for its report for ever.
        """
        if self._closed:
            return
        self._closed = True
        if self.scope is not None and self.scope.is_open:
            self._transactions.abort()
        try:
            self.flush(timeout_s)
        finally:
            _give_up(self._producer)
            # A forgotten publisher may be collected on this very thread.
            if self._thread is not threading.current_thread():
                self._thread.join()

    def close_forgotten(self) -> None:
        """Close for somebody who has forgotten to, or at the end of the program: nobody is there to
        be told, so that what failed is logged."""
        try:
            self.close(_FORGOTTEN_S)
        except PublishError as error:
            _log.error("events of a publisher that was not closed: %s", error)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the publisher has been closed: make a new one")

    def _connected(self) -> Producer:
        try:
            return Producer(self._config)
        except KafkaException as error:
            raise ConfigurationError(
                f"Kafka's client refuses its settings: {error.args[0].str()}"
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"Kafka's client refuses its settings: {error}") from error

    def _renewed(self) -> TransactionalProducer:
        """The producer for transactions from now on; the first is there already."""
        if self._used:
            before, self._producer = self._producer, self._connected()
            _give_up(before)
            self._abandoned.append(before)
        self._used = True
        return self._producer

    def _serve(self) -> None:
        while not self._closed:
            if self._standing_back:
                self._standing_back = False
                self._waited_for.wait(_STAND_BACK_S)
                self._waited_for.clear()
                self.serve(0)
            else:
                self.serve(_POLL_S)

    def _note(self, error: KafkaError) -> None:
        """Lost connections, as they come: Kafka's client logs them and tries again by itself."""
        if error.name() != "_ALL_BROKERS_DOWN":
            self._trouble = error.str()


def _give_up(producer: Producer) -> None:
    """What it has not been answered for is reported as failed."""
    if len(producer) > 0:
        producer.purge()
        with suppress(KafkaException):
            producer.flush(_PURGE_S)
