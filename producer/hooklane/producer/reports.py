"""What Kafka said about an event, and which failures nobody has looked at yet."""

from collections import deque
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock
from typing import Protocol, TypeAlias

from confluent_kafka import KafkaError

from hooklane.producer.errors import DeliveryError, UndeliveredError

_KEPT = 100


@dataclass(frozen=True, slots=True)
class Published:
    """Kafka has the event, on as many replicas as it wants. `timestamp_ms` is the record's."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    event_id: str


class Stored(Protocol):
    """What of Kafka's report says where the record is: `confluent_kafka.Message` has it."""

    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def timestamp(self) -> tuple[int, int]: ...


Out: TypeAlias = deque[None]
"""One for each record whose report has not been heard: appended before it is handed over, taken
when all is done that the report asks for, in one step each, by whatever thread. Not the length of
Kafka's producer: what its client wants logged counts there, too."""


class Desk(Protocol):
    """Where reports come from."""

    @property
    def failures(self) -> "Failures": ...
    @property
    def out(self) -> Out: ...
    def attend(self) -> None:
        """Somebody waits for a report: serve them without delay."""

    def failure(self, topic: str, event_id: str, error: KafkaError) -> DeliveryError:
        """Kafka's word about a record, as this package says it."""


class Failures:
    """Failures that nobody has seen. Their number is bounded; the count goes on."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._unseen: dict[int, DeliveryError] = {}
        self._more = 0

    def add(self, error: DeliveryError) -> None:
        with self._lock:
            if len(self._unseen) < _KEPT:
                self._unseen[id(error)] = error
            else:
                self._more += 1

    def seen(self, error: DeliveryError) -> None:
        """Somebody has been told. An error beyond the kept ones stays in the count."""
        with self._lock:
            self._unseen.pop(id(error), None)

    def forget(self) -> DeliveryError | None:
        """Somebody is told of all of them at once, by the first one, if there is any."""
        with self._lock:
            first = next(iter(self._unseen.values()), None)
            self._unseen, self._more = {}, 0
        return first

    def raise_unseen(self) -> None:
        """Tell the failures that nobody has seen; each is told once.

        Raises:
            UndeliveredError: there are some.
        """
        with self._lock:
            errors, count = list(self._unseen.values()), len(self._unseen) + self._more
            self._unseen, self._more = {}, 0
        if count:
            raise UndeliveredError(errors, count)


Place: TypeAlias = tuple[int, int, int]
"""Partition, offset, milliseconds."""


class Receipt:
    """The word on one event that was handed over: still out, published, or failed."""

    __slots__ = ("_desk", "_outcome", "_signal", "event_id", "topic")

    _signals = Lock()

    def __init__(self, desk: Desk, topic: str, event_id: str) -> None:
        self.topic = topic
        self.event_id = event_id
        self._desk = desk
        self._outcome: Place | DeliveryError | None = None
        self._signal: Signal | None = None

    @property
    def done(self) -> bool:
        """Whether `result` would answer at once."""
        return self._outcome is not None

    def result(self, timeout_s: float | None = None) -> Published:
        """Where the event is, as soon as that is known.

        Raises:
            DeliveryError: Kafka did not take it, or nobody knows whether it did.
            TimeoutError: nothing is known yet.
        """
        if self._outcome is None:
            self._wait(timeout_s)
        match self._outcome:
            case None:
                raise TimeoutError(f"nothing is known of event {self.event_id} yet")
            case DeliveryError() as error:
                self._desk.failures.seen(error)
                raise error
            case (partition, offset, timestamp_ms):
                return Published(self.topic, partition, offset, timestamp_ms, self.event_id)

    def reported(self, error: KafkaError | None, stored: Stored) -> None:
        """Called once, by the thread that serves Kafka's reports; for every event, so that a
        `Published` is made only where somebody asks."""
        # The outcome first, then the signal; a waiter looks the other way round. So no lock here.
        if error is None:
            self._outcome = place_of(stored)
        else:
            failure = self._desk.failure(self.topic, self.event_id, error)
            self._desk.failures.add(failure)
            self._outcome = failure
        if self._signal is not None:
            self._signal.set()
        self._desk.out.pop()

    def _wait(self, timeout_s: float | None) -> None:
        with self._signals:
            if self._signal is None:
                self._signal = Signal()
        if self._outcome is None:
            self._desk.attend()
            self._signal.wait(timeout_s)


def place_of(stored: Stored) -> Place:
    return stored.partition() or 0, stored.offset() or 0, stored.timestamp()[1]
