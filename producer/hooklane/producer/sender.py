"""The core of both publishers: a Kafka producer and the thread that serves its reports."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hooklane.producer.configuration import Properties, publisher_properties
from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.errors import (
    ClosedError,
    ConfigurationError,
    DeliveryError,
    PublishError,
    UnfinishedError,
)
from hooklane.producer.reports import Failures, Published

Report: TypeAlias = Callable[[Published | DeliveryError], None]
"""Told once what became of a record, on the sender's thread or a flushing one; must not raise."""

_log = logging.getLogger("hooklane.producer")
_POLL_S = 0.2
_FORGOTTEN_S = 30.0
_PURGE_S = 5.0
_STAND_BACK_S = 0.02
_UNREACHED = frozenset(("_MSG_TIMED_OUT", "_TRANSPORT"))


class Sender:
    """Hands records to Kafka and says of each what became of it."""

    def __init__(self, properties: Properties) -> None:
        self.failures = Failures()
        self._trouble = ""
        self._closed = False
        self._standing_back = False
        self._waited_for = threading.Event()
        config = {"logger": _log, "error_cb": self._note, **publisher_properties(properties)}
        try:
            self._producer = Producer(config)
        except KafkaException as error:
            raise ConfigurationError(
                f"Kafka's client refuses its settings: {error.args[0].str()}"
            ) from error
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"Kafka's client refuses its settings: {error}") from error
        self._thread = threading.Thread(target=self._serve, name="hooklane-publisher", daemon=True)
        self._thread.start()

    def try_send(self, record: OutgoingRecord, report: Report) -> bool:
        """Hand a record over; False if the queue is full, then nothing has happened.

        Raises:
            ClosedError: the sender has been closed.
            DeliveryError: Kafka's client refuses this record at once.
        """
        if self._closed:
            raise ClosedError("the publisher has been closed: make a new one")
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=[*record.headers],
                on_delivery=partial(self._reported, record, report),
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise self._failure(record, error.args[0]) from error
        return True

    def serve(self, timeout_s: float) -> None:
        """Serve reports on this thread, while the queue is full."""
        self._producer.poll(timeout_s)

    def serve_between(self) -> None:
        """Serve what reports there are, between two sends; the sender's thread stands back.

        If both sent and served at once, each report would cost two changes of thread: 40 µs.
        """
        self._standing_back = True
        self._producer.poll(0)

    def attend(self) -> None:
        """Somebody waits for a report: the sender's thread shall not stand back any longer."""
        self._waited_for.set()

    def flush(self, timeout_s: float) -> None:
        """Wait until Kafka has answered for every record.

        Raises:
            UnfinishedError: it has not for some.
            UndeliveredError: some failed, at any time, and nobody had looked.
        """
        end = time.monotonic() + timeout_s
        while len(self._producer) > 0 and (left_s := end - time.monotonic()) > 0:
            self._producer.flush(min(left_s, _POLL_S))
        self.failures.raise_unseen()
        if (left := len(self._producer)) > 0:
            raise UnfinishedError(left, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Flush and end the thread. Raises what `flush` does; a second time does nothing.

        What is still out then is given up, so that nobody waits for its report for ever.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush(timeout_s)
        finally:
            if len(self._producer) > 0:
                self._producer.purge()
                self._producer.flush(_PURGE_S)
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

    def _serve(self) -> None:
        while not self._closed:
            if self._standing_back:
                self._standing_back = False
                self._waited_for.wait(_STAND_BACK_S)
                self._waited_for.clear()
            else:
                self._producer.poll(_POLL_S)

    def _reported(
        self, record: OutgoingRecord, report: Report, error: KafkaError | None, message: Message
    ) -> None:
        if error is not None:
            report(self._failure(record, error))
            return
        partition, offset, when = message.partition(), message.offset(), message.timestamp()[1]
        report(Published(record.topic, partition or 0, offset or 0, when, record.event_id))

    def _failure(self, record: OutgoingRecord, error: KafkaError) -> DeliveryError:
        reason = error.str()
        if self._trouble and error.name() in _UNREACHED:
            reason = f"{reason}; {self._trouble}"
        return DeliveryError(record.topic, record.event_id, error.name(), reason)

    def _note(self, error: KafkaError) -> None:
        """Lost connections, as they come: Kafka's client logs them and tries again by itself."""
        if error.name() != "_ALL_BROKERS_DOWN":
            self._trouble = error.str()
