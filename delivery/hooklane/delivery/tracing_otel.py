"""Attempts and events as spans of OpenTelemetry.

    publisher's span
      └ process orders.events           fan-out: matched, and to whom it goes
          ├ POST                        the first attempt for a subscription; the receiver's parent
          └ POST                        ... and for another one
    process hooklane.backlog            retrier: a trace of its own, hours later perhaps,
      └ POST                            linked to the context that the backlog's task carries

An attempt that is not sampled makes no object: it passes the event's context on as it is.
"""

import time
from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, StatusCode, set_span_in_context

from hooklane.delivery import tracing_spans as spans
from hooklane.delivery.outcome import Outcome
from hooklane.delivery.tracing import Attempting, PassedOn, Span
from hooklane.delivery.tracing_spans import Read
from hooklane.runtime.metrics import Metrics
from hooklane.runtime.telemetry import Traces
from hooklane.schemas.event import Event
from hooklane.schemas.records import AttemptOutcome

_PASSED_ON = PassedOn()


class TracedEvents:
    """The fan-out's EventTracing. `group`: its consumer group."""

    def __init__(self, traces: Traces, group: str) -> None:
        self._tracer = traces.tracer
        self._sampling = traces.sampling
        self._group = group
        self._received_ns = 0

    def received(self) -> None:
        self._received_ns = time.time_ns()

    def matched(self, event: Event, subscriptions: Sequence[str]) -> None:
        parent = event.traceparent
        if parent is None:
            if not self._sampling.begins():
                return
        elif not self._sampling.follows(parent):
            return
        context = None if parent is None else spans.context_of(parent, event.tracestate)
        span = self._tracer.start_span(
            f"process {event.topic}",
            spans.within(context),
            SpanKind.CONSUMER,
            spans.event_facts(event, Read(event.topic, self._group), subscriptions),
            start_time=self._received_ns,
        )
        span.end()
        own = span.get_span_context()
        event.traceparent = spans.traceparent_of(own)
        event.tracestate = spans.tracestate_of(own)


class TracedAttempts:
    """The fan-out's Tracing: whatever event is traced, its attempts are."""

    def __init__(self, traces: Traces, metrics: Metrics) -> None:
        self._tracer = traces.tracer
        self._sampling = traces.sampling
        self._metrics = metrics

    def begin(self, attempting: Attempting) -> Span:
        event = attempting.event
        parent = event.traceparent
        if parent is None or not self._sampling.follows(parent):
            return _PASSED_ON.begin(attempting)
        request = self._tracer.start_span(
            "POST",
            spans.within(spans.context_of(parent, event.tracestate)),
            SpanKind.CLIENT,
            spans.request_facts(attempting),
        )
        return _Traced((request,), self._metrics, event.timestamp_ms)


class TracedRetries:
    """The retrier's Tracing: each attempt is a trace, linked to what the task carries."""

    def __init__(self, traces: Traces, metrics: Metrics, read: Read) -> None:
        self._tracer = traces.tracer
        self._sampling = traces.sampling
        self._metrics = metrics
        self._read = read

    def begin(self, attempting: Attempting) -> Span:
        event = attempting.event
        origin = event.traceparent
        if origin is None:
            if not self._sampling.begins():
                return _PASSED_ON.begin(attempting)
            links = []
        elif self._sampling.follows(origin):
            links = [Link(spans.context_of(origin, event.tracestate))]
        else:
            return _PASSED_ON.begin(attempting)
        process = self._tracer.start_span(
            f"process {self._read.topic}",
            spans.within(None),
            SpanKind.CONSUMER,
            spans.process_facts(event, self._read) | spans.delivery_facts(attempting),
            links,
        )
        request = self._tracer.start_span(
            "POST",
            set_span_in_context(process, spans.within(None)),
            SpanKind.CLIENT,
            spans.request_facts(attempting),
        )
        return _Traced((request, process), self._metrics, event.timestamp_ms)


class _Traced:
    """The spans of one attempt, the request's first. `timestamp_ms`: the event's in Kafka."""

    __slots__ = ("_began", "_context", "_metrics", "_spans", "_timestamp_ms")

    def __init__(self, made: tuple[trace.Span, ...], metrics: Metrics, timestamp_ms: int) -> None:
        self._spans = made
        self._context = made[0].get_span_context()
        self._metrics = metrics
        self._timestamp_ms = timestamp_ms
        self._began = time.monotonic()

    @property
    def traceparent(self) -> str | None:
        return spans.traceparent_of(self._context)

    @property
    def tracestate(self) -> str | None:
        return spans.tracestate_of(self._context)

    @property
    def trace_id(self) -> str | None:
        return f"{self._context.trace_id:032x}"

    def ended(self, outcome: Outcome, address: str | None) -> None:
        request, *around = self._spans
        request.set_attributes(spans.response_facts(outcome, address))
        for span in around:
            span.set_attributes(spans.outcome_facts(outcome))
        for span in self._spans:
            if outcome.kind is not AttemptOutcome.DELIVERED:
                span.set_status(StatusCode.ERROR, outcome.detail)
            span.end()
        self._show(outcome)

    def cancelled(self) -> None:
        for span in self._spans:
            span.set_attribute("error.type", "cancelled")
            span.set_status(StatusCode.ERROR, "the attempt was cut off: its partition went away")
            span.end()

    def _show(self, outcome: Outcome) -> None:
        """Let the histograms name this trace."""
        trace_id = self.trace_id or ""
        self._metrics.attempt_duration.exemplify(time.monotonic() - self._began, trace_id)
        if outcome.kind is AttemptOutcome.DELIVERED:
            age_s = time.time() - self._timestamp_ms / 1000
            self._metrics.delivery_latency.exemplify(max(age_s, 0.0), trace_id)
