"""Traces: what a collector is sent, asked of one that speaks OTLP over a real socket."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from hooklane.delivery.attempt import Attempted, Attempter, Delivery
from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.traced import Traced, traced
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.settings import Settings, load_settings
from hooklane.runtime.telemetry import traces_url
from hooklane.runtime.telemetry_sampling import Sampling
from hooklane.schemas.codec import TASKS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome, DeliveryTask
from hooklane.schemas.version import __version__
from tests.support.engines import HandEngine, Vault, document
from tests.support.otlp_receiver import OtlpReceiver

TRACE = "0af7651916cd43dd0448eb211c80319c"
PUBLISHED = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_RECORDED = PUBLISHED[:-1] + "0"
LANE = LaneId("1" * 32)
ANSWERED = "10.0.0.9:8443"


class Bench(NamedTuple):
    """An attempter whose engine the test answers for."""

    traced: Traced
    metrics: Metrics
    engine: HandEngine
    attempter: Attempter

    def attempt(
        self, event: Event, result: Response | Fault, number: int = 1
    ) -> tuple[dict[str, str], Attempted]:
        """One attempt to its end: the request's headers, and how it ended."""
        told: list[Attempted] = []
        receiver = document(id="billing", url="https://hooks.example:8443/T0/s3cret?token=t0k")
        delivery = Delivery(LANE, 42, "msg_1", "", event, receiver, number)
        self.attempter.start(delivery, told.append)
        headers = self.engine.headers
        self.engine.end(result)
        [ended] = told
        return headers, ended

    def take(self, event: Event, *subscriptions: str) -> None:
        """As the fan-out takes an event up."""
        assert self.traced.events is not None
        self.traced.events.received()
        self.traced.events.matched(event, subscriptions or ("billing",))


def event(traceparent: str | None = PUBLISHED, tracestate: str | None = None) -> Event:
    return Event(
        topic="orders",
        topic_id="t" * 32,
        partition=3,
        offset=42,
        timestamp_ms=int(time.time() * 1000) - 2000,
        key=b"c-42",
        attributes={"specversion": "1.0", "id": "e1", "source": "/shop", "type": "order.paid"},
        content_type="application/json",
        data=b'{"card": 4111}',
        traceparent=traceparent,
        tracestate=tracestate,
    )


def answer(status: int = 204) -> Response:
    return Response(status, (), b"", ANSWERED)


def settings(endpoint: str | None, ratio: float = 1.0) -> Settings:
    told = {
        "HOOKLANE_KAFKA__INSTANCE_ID": "pod-0",
        "HOOKLANE_TELEMETRY__SAMPLE_RATIO": str(ratio),
    }
    if endpoint is not None:
        told["HOOKLANE_TELEMETRY__OTLP_ENDPOINT"] = endpoint
    return load_settings(environ=told)


@asynccontextmanager
async def bench(service: Service, endpoint: str | None, ratio: float = 1.0) -> AsyncIterator[Bench]:
    metrics, engine = Metrics(service), HandEngine()
    async with traced(settings(endpoint, ratio), service, metrics) as tracing:
        attempter = Attempter(engine, Vault(), SystemClock(), service, tracing.attempts)
        yield Bench(tracing, metrics, engine, attempter)


def carried(of: Event) -> Event:
    """The event as a task brings it through the backlog."""
    task = DeliveryTask(
        LANE, 42, "msg_1", "billing", "", "", False, "g", of, 0, 1, 0, False, 0
    )  # fmt: skip
    return TASKS.decode(TASKS.encode(task)).event


def parent_in(header: str) -> tuple[str, str]:
    """Trace and span id of a `traceparent`, which says that it is recorded."""
    version, trace, span, flags = header.split("-")
    assert (version, flags) == ("00", "01")
    return trace, span


async def test_an_event_and_its_attempts_are_in_the_publishers_trace() -> None:
    """publisher > process > POST; the receiver is told the POST, the attempt record the trace."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event(tracestate="vendor=1")
            fanout.take(one, "billing", "audit")
            headers, attempted = fanout.attempt(one, answer())
        [process], [post] = collector.named("process orders"), collector.named("POST")
    assert (process.trace_id, process.parent, process.kind) == (TRACE, PUBLISHED[36:52], "CONSUMER")
    assert (post.trace_id, post.parent, post.kind) == (TRACE, process.span_id, "CLIENT")
    assert parent_in(headers["traceparent"]) == (TRACE, post.span_id)
    assert headers["tracestate"] == "vendor=1"
    assert attempted.record.trace_id == TRACE
    assert process.began_ns <= process.ended_ns <= post.began_ns <= post.ended_ns
    assert {process.status, post.status} == {"UNSET"}
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "3",
        "messaging.consumer.group.name": "hooklane-fanout",
        "messaging.kafka.offset": 42,
        "messaging.message.id": "e1",
        "messaging.message.body.size": 14,
        "cloudevents.event_source": "/shop",
        "cloudevents.event_type": "order.paid",
        "hooklane.subscriptions": ("billing", "audit"),
    }
    assert post.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 204,
        "server.address": "hooks.example",
        "server.port": 8443,
        "url.full": "https://hooks.example:8443/REDACTED",
        "network.peer.address": "10.0.0.9",
        "network.peer.port": 8443,
        "hooklane.subscription": "billing",
        "hooklane.lane": LANE,
        "hooklane.sequence": 42,
        "hooklane.attempt": 1,
        "hooklane.webhook_id": "msg_1",
        "hooklane.outcome": "delivered",
    }


async def test_the_resource_names_the_service() -> None:
    """A backend can tell services and processes apart."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            fanout.take(event())
        [process] = collector.spans
    told = {name: value for name, value in process.resource.items() if name.startswith("service.")}
    assert told == {
        "service.namespace": "hooklane",
        "service.name": "hooklane-fanout",
        "service.version": __version__,
        "service.instance.id": "pod-0",
    }
    assert process.scope == "hooklane"
    assert collector.paths == ["/v1/traces"]


async def test_a_retry_is_a_trace_of_its_own_linked_to_the_fan_outs() -> None:
    """What the backlog's task carries leads from a retry, hours later, back to the event."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event()
            fanout.take(one)
            fanout.attempt(one, answer(503))
        async with bench(Service.RETRIER, collector.url) as retrier:
            headers, attempted = retrier.attempt(carried(one), answer(), number=2)
        [first] = collector.named("process orders")
        [failed, post] = collector.named("POST")
        [retry] = collector.named("process hooklane.backlog")
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "503")
    assert failed.status_text == "the receiver answered 503 Service Unavailable"
    assert (retry.parent, retry.links) == ("", ((TRACE, first.span_id),))
    assert retry.trace_id != TRACE
    assert retry.attributes["messaging.consumer.group.name"] == "hooklane-retrier"
    assert retry.attributes["hooklane.attempt"] == 2
    assert (post.trace_id, post.parent) == (retry.trace_id, retry.span_id)
    assert post.attributes["http.request.resend_count"] == 1
    assert parent_in(headers["traceparent"]) == (retry.trace_id, post.span_id)
    assert attempted.record.trace_id == retry.trace_id
    assert retry.resource["service.name"] == "hooklane-retrier"
    assert retry.ended_ns >= post.began_ns


async def test_no_secret_and_no_payload_is_traced() -> None:
    """A URL's path and query, the key and the data stay here."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event()
            fanout.take(one)
            fanout.attempt(one, answer(500))
        text = json.dumps([span.attributes for span in collector.spans], default=str)
        assert len(collector.spans) == 2
    assert not [word for word in ("s3cret", "t0k", "4111", "c-42") if word in text]


@pytest.mark.parametrize("service", Service)
async def test_what_its_publisher_does_not_record_is_passed_on(service: Service) -> None:
    """No span, and the receiver gets the publisher's context as it is."""
    with OtlpReceiver() as collector:
        async with bench(service, collector.url) as one:
            told = event(NOT_RECORDED, "vendor=1")
            if one.traced.events is not None:
                one.take(told)
            headers, attempted = one.attempt(told, answer())
        assert collector.spans == []
    assert (headers["traceparent"], headers["tracestate"]) == (NOT_RECORDED, "vendor=1")
    assert attempted.record.trace_id == TRACE


async def test_an_event_without_a_context_begins_a_trace() -> None:
    """Where the ratio says so: its attempts belong to it, and its retries are linked to it."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event(None)
            fanout.take(one)
            headers, attempted = fanout.attempt(one, answer(500))
        [process], [post] = collector.named("process orders"), collector.named("POST")
    assert process.parent == ""
    assert post.parent == process.span_id
    assert parent_in(headers["traceparent"]) == (process.trace_id, post.span_id)
    assert attempted.record.trace_id == process.trace_id
    assert carried(one).traceparent == f"00-{process.trace_id}-{process.span_id}-01"


async def test_a_retry_without_a_context_begins_a_trace() -> None:
    """A delivery that was never traced can be, from its retry on; there is nothing to link to."""
    with OtlpReceiver() as collector:
        async with bench(Service.RETRIER, collector.url) as retrier:
            retrier.attempt(event(None), answer(), number=3)
        [retry] = collector.named("process hooklane.backlog")
    assert (retry.parent, retry.links) == ("", ())


@pytest.mark.parametrize("service", Service)
async def test_nothing_of_a_ratio_of_nought_is_traced(service: Service) -> None:
    """Neither what has a context nor what has none."""
    with OtlpReceiver() as collector:
        async with bench(service, collector.url, ratio=0.0) as one:
            for parent in (PUBLISHED, None):
                told = event(parent)
                if one.traced.events is not None:
                    one.take(told)
                headers, _ = one.attempt(told, answer())
                assert headers.get("traceparent") == parent
        assert collector.spans == []


@pytest.mark.parametrize(
    ("result", "error_type", "peer"),
    [
        (answer(404), "404", "10.0.0.9"),
        (Fault(FaultKind.CONNECTION_REFUSED, "refused", "[2001:db8::1]:443"), "connection-refused",
         "2001:db8::1"),
        (Fault(FaultKind.DNS, "no such name"), "dns", None),
        (answer(410), "410", "10.0.0.9"),
    ],
)  # fmt: skip
async def test_what_failed_is_an_error(
    result: Response | Fault, error_type: str, peer: str | None
) -> None:
    """By HTTP's conventions: the status or the reason as `error.type`, and the peer if one was."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event()
            fanout.take(one)
            fanout.attempt(one, result)
        [post] = collector.named("POST")
    assert (post.status, post.attributes["error.type"]) == ("ERROR", error_type)
    assert post.attributes.get("network.peer.address") == peer


async def test_an_attempt_that_is_cut_off_ends_its_span() -> None:
    """A partition that is taken away leaves no span open."""
    with OtlpReceiver() as collector:
        async with bench(Service.RETRIER, collector.url) as retrier:
            delivery = Delivery(LANE, 42, "msg_1", "", event(), document(), 2)
            retrier.attempter.start(delivery, lambda _: None).cancel()
        found = {one.name: one.attributes["error.type"] for one in collector.spans}
    assert found == {"POST": "cancelled", "process hooklane.backlog": "cancelled"}


def exemplars(metrics: Metrics, name: str) -> list[dict[str, str]]:
    text, _ = metrics.exposition("application/openmetrics-text;version=1.0.0")
    return [
        sample.exemplar.labels
        for family in text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name == f"{name}_bucket" and sample.exemplar is not None
    ]


async def test_histograms_name_a_trace_where_openmetrics_is_asked_for() -> None:
    """From a slow bucket to a trace that was slow; the plain format is as it was."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            one = event()
            fanout.take(one)
            fanout.attempt(one, answer())
            duration = exemplars(fanout.metrics, "hooklane_delivery_attempt_duration_seconds")
            latency = exemplars(fanout.metrics, "hooklane_delivery_latency_seconds")
            plain, _ = fanout.metrics.exposition("")
    assert duration == latency == [{"trace_id": TRACE}]
    assert TRACE.encode() not in plain


async def test_only_a_trace_that_is_sent_is_named() -> None:
    """An exemplar that leads nowhere helps nobody."""
    with OtlpReceiver() as collector:
        async with bench(Service.FANOUT, collector.url) as fanout:
            fanout.attempt(event(NOT_RECORDED), answer())
            assert exemplars(fanout.metrics, "hooklane_delivery_attempt_duration_seconds") == []


def spans(metrics: Metrics, outcome: str) -> float | None:
    return metrics.registry.get_sample_value("hooklane_spans_total", {"outcome": outcome})


async def test_spans_that_were_sent_are_counted() -> None:
    """An operator sees that traces arrive."""
    with OtlpReceiver() as collector:
        async with bench(Service.RETRIER, collector.url) as retrier:
            retrier.attempt(event(), answer())
    assert (spans(retrier.metrics, "sent"), spans(retrier.metrics, "lost")) == (2, 0)


@pytest.fixture
def few_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not been sent at the end has a moment."""
    monkeypatch.setattr("hooklane.runtime.telemetry._LAST_WORDS_S", 0.2)


@pytest.mark.parametrize("refused", [True, False])
async def test_a_collector_that_takes_nothing_costs_only_the_spans(
    refused: bool, few_last_words: None
) -> None:
    """They are counted as lost, and one line says so."""
    with (
        OtlpReceiver(status=400) as collector,
        socket.socket() as nobody,
        capture_logs() as lines,
    ):
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with bench(Service.RETRIER, collector.url if refused else endpoint) as retrier:
            _, attempted = retrier.attempt(event(), answer())
    assert attempted.outcome.kind is AttemptOutcome.DELIVERED
    assert spans(retrier.metrics, "lost") == 2
    assert [line["event"] for line in lines] == ["traces.not_sent"]


async def test_a_collector_that_hangs_does_not_hold_up_the_end(few_last_words: None) -> None:
    """A service that is told to stop stops, whatever its collector does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with bench(Service.RETRIER, f"http://127.0.0.1:{silent.getsockname()[1]}") as retrier:
            retrier.attempt(event(), answer())
            began = time.monotonic()
    assert time.monotonic() - began < 4


async def test_the_collector_is_dialled_as_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the credentials of its URL, and never by way of the environment's proxies."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=night")
    with OtlpReceiver() as collector:
        endpoint = collector.url.replace("//", "//ann:pw@")
        async with bench(Service.FANOUT, endpoint) as fanout:
            fanout.take(event())
        [headers] = collector.headers
    assert headers["authorization"] == "Basic YW5uOnB3"
    assert headers["x-team"] == "night"
    assert headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://vendor/otlp", "https://vendor/otlp/v1/traces"),
        ("https://vendor/otlp/v1/traces", "https://vendor/otlp/v1/traces"),
        ("https://vendor/otlp?tenant=1", "https://vendor/otlp/v1/traces?tenant=1"),
    ],
)
def test_the_path_of_traces(endpoint: str, url: str) -> None:
    """OTLP's own path is added to the collector's endpoint, once."""
    assert traces_url(endpoint) == url


@given(st.floats(0.001, 1.0), st.integers(1, 2**128 - 1))
@example(1.0, 2**128 - 1)
def test_who_begins_a_trace_and_who_follows_it_agree(ratio: float, trace: int) -> None:
    """A trace that begins here is followed everywhere with the same ratio, or a greater one."""
    sampling = Sampling(ratio)
    begun = sampling.new_id()
    assert 0 < begun < 2**128
    assert sampling.follows(f"00-{begun:032x}-b7ad6b7169203331-01")
    parent = f"00-{trace:032x}-b7ad6b7169203331-01"
    assert Sampling(1.0).follows(parent)
    assert not Sampling(0.0).follows(parent)
    if sampling.follows(parent):
        assert Sampling((1 + ratio) / 2).follows(parent)
    assert not sampling.follows(parent[:-1] + "0")


@pytest.mark.parametrize(("draw", "begins"), [(0.0, True), (0.0999, True), (0.1, False)])
def test_the_ratio_is_the_part_that_begins(draw: float, begins: bool) -> None:
    """Of what comes without a context."""
    assert Sampling(0.1, lambda: draw).begins() is begins


_IMPORTS = """
import sys
import hooklane.fanout.run, hooklane.retrier.run
slow = ("requests", "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
print([name for name in slow if name in sys.modules])
"""


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    """A service that sends no traces starts as fast as before, and holds no more memory."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_without_a_collector_contexts_are_passed_on() -> None:
    """The receiver and the attempt record get the publisher's."""
    async with bench(Service.FANOUT, None) as fanout:
        assert fanout.traced.events is None
        headers, attempted = fanout.attempt(event(), answer())
    assert (headers["traceparent"], attempted.record.trace_id) == (PUBLISHED, TRACE)
