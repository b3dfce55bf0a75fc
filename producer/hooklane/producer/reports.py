"""What Kafka said about an event, and which failures nobody has looked at yet."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock

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


class Receipt:
    """The word on one event that was handed over: still out, published, or failed."""

    __slots__ = ("_attend", "_failures", "_outcome", "_signal", "event_id")

    _signals = Lock()

    def __init__(self, event_id: str, failures: Failures, attend: Callable[[], None]) -> None:
        self.event_id = event_id
        self._attend = attend
        self._failures = failures
        self._outcome: Published | DeliveryError | None = None
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
                self._failures.seen(error)
                raise error
            case published:
                return published

    def settle(self, outcome: Published | DeliveryError) -> None:
        """Called once, by the thread that serves Kafka's reports."""
        if isinstance(outcome, DeliveryError):
            self._failures.add(outcome)
        # The outcome first, then the signal; a waiter looks the other way round. So no lock here,
        # on the path of every event.
        self._outcome = outcome
        if self._signal is not None:
            self._signal.set()

    def _wait(self, timeout_s: float | None) -> None:
        with self._signals:
            if self._signal is None:
                self._signal = Signal()
        if self._outcome is None:
            self._attend()
            self._signal.wait(timeout_s)
