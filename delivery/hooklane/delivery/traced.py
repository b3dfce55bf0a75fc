"""How a service's attempts and events are traced, by its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import assert_never

from hooklane.delivery.tracing import EventTracing, PassedOn, Tracing
from hooklane.runtime.collector import calm_collector
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Traced:
    """`events` is the fan-out's alone, where anything is traced."""

    attempts: Tracing
    events: EventTracing | None = None


@asynccontextmanager
async def traced(settings: Settings, service: Service, metrics: Metrics) -> AsyncIterator[Traced]:
    """Spans are sent while this is open, if the settings name a collector."""
    endpoint = settings.telemetry.otlp_endpoint
    if endpoint is None:
        yield Traced(PassedOn())
        return
    # Slow to import, and of no use to anybody who sends no traces. The collector of garbage has to
    # leave alone what this brings, too.
    from hooklane.delivery.tracing_otel import (  # noqa: PLC0415
        TracedAttempts,
        TracedEvents,
        TracedRetries,
    )
    from hooklane.delivery.tracing_spans import Read  # noqa: PLC0415
    from hooklane.runtime.telemetry import open_traces  # noqa: PLC0415

    calm_collector()
    traces = open_traces(settings, service, endpoint.get_secret_value(), metrics.spans_ended)
    try:
        match service:
            case Service.FANOUT:
                events = TracedEvents(traces, settings.fanout.group_id)
                yield Traced(TracedAttempts(traces, metrics), events)
            case Service.RETRIER:
                read = Read(settings.topic_names.backlog, settings.retrier.group_id)
                yield Traced(TracedRetries(traces, metrics, read))
            case _:
                assert_never(service)
    finally:
        await traces.close()
