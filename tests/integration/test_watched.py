"""What operators see of real services: traces at a collector, log lines, metrics."""

from pathlib import Path
from typing import Any

from opentelemetry import context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from hooklane.producer import EventPublisher, NewEvent
from tests.kafka.records import Outgoing
from tests.support.otlp_receiver import OtlpReceiver, SpanSeen
from tests.support.processes import ServiceProcess
from tests.support.promql import Exported, all_metrics
from tests.support.site import Site
from tests.support.webhook_sink import Answer, Hit, WebhookSink

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
LAST = f"00-{'5' * 32}-{'6' * 16}-01"


def publish_in_a_span(site: Site, key: str) -> None:
    """By Hooklane's library, as a service does that is traced."""
    span = NonRecordingSpan(SpanContext(TRACE, SPAN, False, TraceFlags(TraceFlags.SAMPLED)))
    token = context.attach(set_span_in_context(span))
    try:
        servers = {"bootstrap.servers": site.kafka.bootstrap_servers}
        with EventPublisher(servers, source="/shop") as publisher:
            publisher.publish(site.events, NewEvent(type="order.paid", key=key, data={"n": 0}))
    finally:
        context.detach(token)


def only(spans: list[SpanSeen], service: str) -> SpanSeen:
    [found] = [one for one in spans if one.resource["service.name"] == f"hooklane-{service}"]
    return found


def lines(of: ServiceProcess, event: str) -> list[dict[str, Any]]:
    return [line for line in of.log_lines() if line["event"] == event]


def test_a_night_with_one_bad_answer(fast: Site, sink: WebhookSink, tmp_path: Path) -> None:
    """One event fails once: its trace, its lines and the metrics tell all of it, and agree."""
    seen: list[Hit] = []

    def answer(hit: Hit) -> Answer:
        seen.append(hit)
        return Answer(500 if len(seen) == 1 else 200)

    sink.answer = answer
    fast.subscribe("billing", sink.url("a"))
    with OtlpReceiver() as collector:
        told = {"TELEMETRY__OTLP_ENDPOINT": collector.url, "TELEMETRY__SAMPLE_RATIO": "1.0"}
        with (
            fast.fanout(**told) as fanout,
            fast.retrier(RETRIER__SPOOL_DIR=str(tmp_path), **told) as retrier,
        ):
            fanout.wait_ready()
            retrier.wait_ready()
            publish_in_a_span(fast, "c-42")
            sink.wait_for(lambda: len(seen) == 2)
            fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 0)
            # An extension of CloudEvents, from a publisher in another language.
            extension = (("ce_specversion", b"1.0"), ("ce_id", b"e2"), ("ce_source", b"/other"))
            headers = (*extension, ("ce_type", b"t"), ("ce_traceparent", LAST.encode()))
            fast.publish([Outgoing(b"c-7", b"{}", headers)])
            sink.wait_for(lambda: len(seen) == 3)
            retrier.wait_for(lambda: "hooklane_lag_events{" in fanout.get("/metrics")[1])
            pages = [one.get("/metrics")[1] for one in (fanout, retrier)]
            assert (fanout.terminate(), retrier.terminate()) == (0, 0)
            judge_lines(fast, fanout, retrier)
        judge_traces(fast, collector, seen)
    assert Exported.read(*pages).labels() == all_metrics().labels()


def judge_traces(site: Site, collector: OtlpReceiver, seen: list[Hit]) -> None:
    """The publisher's trace goes through, the retry is linked to it, receivers hear of both."""
    trace = f"{TRACE:032x}"
    taken, other = collector.named(f"process {site.events}")
    assert (taken.trace_id, taken.parent) == (trace, f"{SPAN:016x}")
    assert (other.trace_id, other.parent) == ("5" * 32, "6" * 16)
    first, retry, last = collector.named("POST")
    assert (first.trace_id, first.parent, first.status) == (trace, taken.span_id, "ERROR")
    assert (last.trace_id, last.parent, last.status) == ("5" * 32, other.span_id, "UNSET")
    again = only(collector.named(f"process {site.names.backlog}"), "retrier")
    assert (again.parent, again.links) == ("", ((trace, taken.span_id),))
    assert (retry.trace_id, retry.parent) == (again.trace_id, again.span_id)
    assert [hit.headers["traceparent"] for hit in seen] == [
        f"00-{one.trace_id}-{one.span_id}-01" for one in (first, retry, last)
    ]
    attempts = sorted(site.attempts(), key=lambda one: one.started_ms)
    assert [one.trace_id for one in attempts] == [trace, retry.trace_id, "5" * 32]


def judge_lines(site: Site, fanout: ServiceProcess, retrier: ServiceProcess) -> None:
    """One for the lane that was blocked, one for its release, none for what arrived."""
    [first, *_] = sorted(site.attempts(), key=lambda one: one.started_ms)
    [blocked], [released] = lines(fanout, "lane.blocked"), lines(retrier, "lane.released")
    where = {"subscription": "billing", "lane": first.lane, "sequence": first.sequence}
    assert where.items() <= blocked.items()
    assert where.items() <= released.items()
    assert (blocked["trace"], blocked["status"]) == (f"{TRACE:032x}", 500)
    about_lanes = [
        line["event"] for one in (fanout, retrier) for line in one.log_lines() if "lane" in line
    ]
    assert about_lanes == ["lane.blocked", "lane.released"]
