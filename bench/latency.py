"""From a plain producer's `produce()` to the arrival at two subscribers, on an idle fan-out."""

import json
import time
from dataclasses import asdict, dataclass
from statistics import quantiles
from uuid import uuid4

from confluent_kafka import Producer

from bench.load import bench_environment, make_bench_site
from bench.machine import load_average
from bench.sinks import Arrival, NotingSink
from bench.tables import Report, Table
from tests.kafka.broker import Kafka
from tests.support.processes import ServiceProcess
from tests.support.site import SECRET, Site

_SUBSCRIBERS = ("standard", "github")
_WARM_UP = 20
_INTERVAL_S = 0.05
_LATEST_S = 30.0


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float
    most: float


def measure_latency(kafka: Kafka, events: int) -> Report:
    """Publish so many events, one every 50 ms, and say how long each was under way."""
    site = make_bench_site(kafka, f"latency-{uuid4().hex[:6]}")
    before = load_average()
    with NotingSink() as sink:
        for path in _SUBSCRIBERS:
            signing = {"scheme": path, "secrets": [SECRET]}
            site.subscribe(path, sink.url(path), signing=signing)
        with ServiceProcess("fanout", bench_environment(site)) as fanout:
            fanout.wait_ready()
            _publish(kafka, site, _WARM_UP + events)
            wanted = len(_SUBSCRIBERS) * (_WARM_UP + events)
            fanout.wait_for(lambda: sink.count() >= wanted, _LATEST_S)
            arrivals = sink.arrivals()
    if len(arrivals) != wanted or not all(one.signed for one in arrivals):
        raise AssertionError(f"{len(arrivals)} of {wanted} arrived, or not all were signed")
    return _report([one for one in arrivals if one.number >= _WARM_UP], before)


def _publish(kafka: Kafka, site: Site, events: int) -> None:
    """With a key each, as an internal service would; `linger.ms` 0, since it is about latency."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
    producer.list_topics(site.events, timeout=10)
    due = time.monotonic()
    for number in range(events):
        due += _INTERVAL_S
        while (left := due - time.monotonic()) > 0:
            producer.poll(left)
        body = {"n": number, "sent_ns": time.monotonic_ns()}
        producer.produce(site.events, json.dumps(body).encode(), f"k{number}".encode())
    producer.flush(_LATEST_S)


def _report(arrivals: list[Arrival], load_before: float) -> Report:
    took = {path: _milliseconds(arrivals, path) for path in _SUBSCRIBERS}
    first = _SUBSCRIBERS[0]
    took["the later of both"] = {
        number: max(took[path][number] for path in _SUBSCRIBERS) for number in took[first]
    }
    found = {name: _quantiles(list(by_number.values())) for name, by_number in took.items()}
    table = Table(
        f"Latency, produce() to arrival, {len(took[first])} events, one every 50 ms (ms)",
        ("to", "p50", "p95", "p99", "most"),
        [
            (name, f"{one.p50:.1f}", f"{one.p95:.1f}", f"{one.p99:.1f}", f"{one.most:.1f}")
            for name, one in found.items()
        ],
        (f"Load average of the last minute: {load_before:.1f}, at the end {load_average():.1f}.",),
    )
    return Report([table], {name: asdict(one) for name, one in found.items()})


def _milliseconds(arrivals: list[Arrival], path: str) -> dict[int, float]:
    """By event: how long its webhook to `path` took. Each has to come once."""
    own = [one for one in arrivals if one.path == path]
    found = {one.number: (one.arrived_ns - one.sent_ns) / 1e6 for one in own}
    if len(found) != len(own):
        raise AssertionError(f"{len(own) - len(found)} webhooks to {path} came twice")
    return found


def _quantiles(values: list[float]) -> Quantiles:
    cuts = quantiles(values, n=100, method="inclusive")
    return Quantiles(cuts[49], cuts[94], cuts[98], max(values))
