"""The attempt's place in a trace, as a port: what makes spans is elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hooklane.delivery.outcome import Outcome
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.subscription import Subscription


class Attempting(Protocol):
    """What an attempt is about: `attempt.Delivery`."""

    @property
    def lane(self) -> LaneId: ...
    @property
    def sequence(self) -> int: ...
    @property
    def webhook_id(self) -> str: ...
    @property
    def run(self) -> str: ...
    @property
    def event(self) -> Event: ...
    @property
    def subscription(self) -> Subscription: ...
    @property
    def attempt(self) -> int: ...


class Span(Protocol):
    """One attempt in a trace. Ended or cancelled once."""

    @property
    def traceparent(self) -> str | None:
        """W3C Trace Context, as the receiver gets it."""

    @property
    def tracestate(self) -> str | None:
        """As `traceparent`."""

    @property
    def trace_id(self) -> str | None:
        """32 hex digits, for the attempt record."""

    def ended(self, outcome: Outcome, address: str | None) -> None:
        """The attempt has ended; `address` is the one that was dialled, with its port."""

    def cancelled(self) -> None:
        """The attempt was cut off."""


class Tracing(Protocol):
    """Begins a span for each attempt."""

    def begin(self, attempting: Attempting) -> Span:
        """The span of one attempt, in the trace of the event's context or linked to it."""


class EventTracing(Protocol):
    """The fan-out's part: what became of an event, before its deliveries are attempted."""

    def received(self) -> None:
        """A batch of records is taken up."""

    def matched(self, event: Event, subscriptions: Sequence[str]) -> None:
        """An event of the batch goes to these. Where it is traced, its context becomes that of its
        span: attempts belong to it, and the backlog's task carries it on to the retries."""


@dataclass(frozen=True, slots=True)
class _Passed:
    traceparent: str | None
    tracestate: str | None
    trace_id: str | None

    def ended(self, outcome: Outcome, address: str | None) -> None:
        pass

    def cancelled(self) -> None:
        pass


_NO_TRACE: Final = _Passed(None, None, None)


class PassedOn:
    """Makes no spans: the receiver gets the publisher's context as it is."""

    def begin(self, attempting: Attempting) -> Span:
        event = attempting.event
        parent = event.traceparent
        if parent is None:
            return _NO_TRACE
        return _Passed(parent, event.tracestate, parent.split("-")[1])
