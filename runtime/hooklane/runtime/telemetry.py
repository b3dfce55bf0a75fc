"""Spans on their way to an OpenTelemetry collector, by OTLP over HTTP.

    traces = open_traces(settings, Service.FANOUT, endpoint, metrics.spans_ended)
    span = traces.tracer.start_span("process orders.events", Context(), SpanKind.CONSUMER)
    ...
    await traces.close()

Imported only where an endpoint is set: that takes a tenth of a second. What the collector does not
take in time is lost and counted, and nobody waits for it. The environment's `OTEL_EXPORTER_OTLP_…`
names (headers, certificates, compression) and `OTEL_RESOURCE_ATTRIBUTES` count too; proxies of the
environment do not.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

from hooklane.runtime.metrics import Service, SpanOutcome
from hooklane.runtime.settings import Settings
from hooklane.runtime.telemetry_sampling import Sampling
from hooklane.schemas.version import __version__

log = structlog.get_logger(__name__)

_PATH: Final = "/v1/traces"
_PATIENCE_S: Final = 5.0
_LAST_WORDS_S: Final = 2.0
_QUEUE: Final = 8192
_BATCH: Final = 256
_DELAY_MS: Final = 1000
_SILENCE_S: Final = 60.0
"""Between two lines about a collector that takes nothing."""

Ended = Callable[[SpanOutcome, int], None]
"""What became of how many spans. Called on a thread of its own."""


def traces_url(endpoint: str) -> str:
    """Where spans go: the endpoint is the collector's, to which OTLP adds a path of its own."""
    parts = urlsplit(endpoint)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(_PATH) else path + _PATH))


class Traces:
    """What makes spans. `sampling` is asked first: the tracer itself records all it is given."""

    def __init__(self, exporter: "_Watched", resource: Resource, sampling: Sampling) -> None:
        self.sampling = sampling
        self._exporter = exporter
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            shutdown_on_exit=False,
            id_generator=_Ids(sampling),
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_QUEUE,
                schedule_delay_millis=_DELAY_MS,
                max_export_batch_size=_BATCH,
            )
        )
        self.tracer: Tracer = self._provider.get_tracer("hooklane", __version__)

    async def close(self) -> None:
        """Send what there is, in two seconds; the rest is lost, and counted."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _LAST_WORDS_S)
        self._exporter.give_up()
        await asyncio.to_thread(ending.join, _LAST_WORDS_S)


def open_traces(settings: Settings, service: Service, endpoint: str, ended: Ended) -> Traces:
    """To the collector at `endpoint`, which need not be there yet."""
    # Its own lines come with every try; ours below comes once a minute.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    session = requests.Session()
    session.trust_env = False
    exporter = OTLPSpanExporter(traces_url(endpoint), timeout=_PATIENCE_S, session=session)
    resource = Resource.create(
        {
            "service.namespace": "hooklane",
            "service.name": f"hooklane-{service.value}",
            "service.version": __version__,
            "service.instance.id": settings.kafka.instance_id,
        }
    )
    sampling = Sampling(settings.telemetry.sample_ratio)
    return Traces(_Watched(exporter, ended), resource, sampling)


class _Ids(RandomIdGenerator):
    """Traces that begin here get ids that everybody with the same ratio records."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling

    def generate_trace_id(self) -> int:
        return self._sampling.new_id()

    def is_trace_id_random(self) -> bool:
        return False


class _Watched(SpanExporter):
    """Counts what is sent and what is lost, and says so now and then."""

    def __init__(self, exporter: OTLPSpanExporter, ended: Ended) -> None:
        self._exporter = exporter
        self._ended = ended
        self._given_up = False
        self._quiet_until = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._given_up else self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._ended(SpanOutcome.SENT, len(spans))
        else:
            self._ended(SpanOutcome.LOST, len(spans))
            self._complain(len(spans))
        return result

    def give_up(self) -> None:
        """Whatever waits for the collector is let go."""
        if not self._given_up:
            self._given_up = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def shutdown(self) -> None:
        self.give_up()

    def _complain(self, spans: int) -> None:
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _SILENCE_S
            log.warning(
                "traces.not_sent",
                spans=spans,
                reason="the collector at HOOKLANE_TELEMETRY__OTLP_ENDPOINT did not take them",
            )
