"""What spans say, by OpenTelemetry's semantic conventions for HTTP (1.2x) and messaging. Pure.

A URL's path and query are left out: with many receivers they are the secret. Keys and payloads are
left out too. An attribute costs 3 µs on its way to the collector, so none says what another does.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from hooklane.delivery.outcome import Outcome
from hooklane.delivery.target import InvalidUrl, read_target
from hooklane.delivery.tracing import Attempting
from hooklane.schemas.event import Event
from hooklane.schemas.records import AttemptOutcome

Attribute = str | int | Sequence[str]

_MOST_NAMES: Final = 32
"""Subscriptions that one span names."""


class Read(NamedTuple):
    """Whose record a span is about: the topic that it was read from, and the group."""

    topic: str
    group: str


def context_of(traceparent: str, tracestate: str | None) -> SpanContext:
    """A good `traceparent` as OpenTelemetry has it."""
    state = None if tracestate is None else TraceState.from_header([tracestate])
    return SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:55], 16)),
        trace_state=state,
    )


def within(parent: SpanContext | None) -> Context:
    """Where a span belongs; None: it begins a trace."""
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def traceparent_of(context: SpanContext) -> str:
    """As the header is written (W3C Trace Context, section 3.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def tracestate_of(context: SpanContext) -> str | None:
    return context.trace_state.to_header() or None


def process_facts(event: Event, read: Read) -> dict[str, Attribute]:
    """Of the span of a record that is taken up."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": read.topic,
        "messaging.consumer.group.name": read.group,
        "messaging.message.id": event.attributes["id"],
        "messaging.message.body.size": len(event.data),
        "cloudevents.event_source": event.attributes["source"],
        "cloudevents.event_type": event.attributes["type"],
    }


def event_facts(event: Event, read: Read, subscriptions: Sequence[str]) -> dict[str, Attribute]:
    """Of the fan-out's span of an event, and who gets it."""
    return {
        **process_facts(event, read),
        "messaging.destination.partition.id": str(event.partition),
        "messaging.kafka.offset": event.offset,
        "hooklane.subscriptions": tuple(subscriptions[:_MOST_NAMES]),
    }


def delivery_facts(attempting: Attempting) -> dict[str, Attribute]:
    """Which delivery it is, and which of its attempts."""
    facts: dict[str, Attribute] = {
        "hooklane.subscription": attempting.subscription.id,
        "hooklane.lane": attempting.lane,
        "hooklane.sequence": attempting.sequence,
        "hooklane.attempt": attempting.attempt,
        "hooklane.webhook_id": attempting.webhook_id,
    }
    if attempting.run:
        facts["hooklane.replay"] = attempting.run
    return facts


def request_facts(attempting: Attempting) -> dict[str, Attribute]:
    """Of the span of an HTTP request."""
    facts = {**_receiver(attempting.subscription.url), **delivery_facts(attempting)}
    if attempting.attempt > 1:
        facts["http.request.resend_count"] = attempting.attempt - 1
    return facts


def outcome_facts(outcome: Outcome) -> dict[str, Attribute]:
    """What became of it."""
    facts: dict[str, Attribute] = {"hooklane.outcome": outcome.kind.value}
    if outcome.kind is not AttemptOutcome.DELIVERED:
        facts["hooklane.reason"] = str(outcome.reason)
        facts["error.type"] = str(outcome.reason if outcome.status is None else outcome.status)
    return facts


def response_facts(outcome: Outcome, address: str | None) -> dict[str, Attribute]:
    """Of the span of an HTTP request that has ended."""
    facts = outcome_facts(outcome)
    if outcome.status is not None:
        facts["http.response.status_code"] = outcome.status
    if address is not None:
        host, _, port = address.rpartition(":")
        facts["network.peer.address"] = host.strip("[]")
        if port.isdecimal():
            facts["network.peer.port"] = int(port)
    return facts


@lru_cache(maxsize=4096)
def _receiver(url: str) -> Mapping[str, Attribute]:
    method: dict[str, Attribute] = {"http.request.method": "POST"}
    target = read_target(url)
    if isinstance(target, InvalidUrl):
        return method
    origin = target.origin
    shown = "/" if target.path == "/" else "/REDACTED"
    return method | {
        "server.address": origin.host,
        "server.port": origin.port,
        "url.full": f"{origin.scheme}://{target.authority}{shown}",
    }
