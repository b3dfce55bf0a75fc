"""The attempt's place in a trace, as a port: what makes spans is elsewhere."""

from dataclasses import dataclass
from typing import Final, Protocol

from hooklane.delivery.outcome import Outcome
from hooklane.schemas.event import Event


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

    def ended(self, outcome: Outcome) -> None:
        """The attempt has ended."""

    def cancelled(self) -> None:
        """The attempt was cut off."""


class Tracing(Protocol):
    """Begins a span for each attempt."""

    def begin(self, event: Event) -> Span:
        """The span of one attempt, in the publisher's trace if the event carries one."""


@dataclass(frozen=True, slots=True)
class _Passed:
    traceparent: str | None
    tracestate: str | None
    trace_id: str | None

    def ended(self, outcome: Outcome) -> None:
        pass

    def cancelled(self) -> None:
        pass


_NO_TRACE: Final = _Passed(None, None, None)


class PassedOn:
    """Makes no spans: the receiver gets the publisher's context as it is."""

    def begin(self, event: Event) -> Span:
        parent = event.traceparent
        if parent is None:
            return _NO_TRACE
        return _Passed(parent, event.tracestate, parent.split("-")[1])
