"""How soon a service delivers again that was killed and started under the same name.

The fan-out: an event is published while it is down. The retrier: a delivery in its backlog is due.
Counted is from the start of the process, and from the end of its imports, which the first line of
its log tells (it is the first thing a service does that is not an import).
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from uuid import uuid4

from bench.load import bench_environment, make_bench_site
from bench.machine import load_average
from bench.tables import Report, Table
from tests.kafka.broker import Kafka
from tests.support.processes import ServiceProcess
from tests.support.site import Site
from tests.support.webhook_sink import OK, Answer, WebhookSink

_FIRST_S = 60.0


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds until the first delivery, and until the imports were done."""

    delivered_s: float
    imported_s: float


def measure_restart(kafka: Kafka, rounds: int) -> Report:
    """SIGKILL and a start at once, so many times each."""
    before = load_average()
    found = {
        "hooklane fanout": [_of_fanout(kafka) for _ in range(rounds)],
        "hooklane retrier": [_of_retrier(kafka) for _ in range(rounds)],
    }
    table = Table(
        f"SIGKILL and start under the same name: first delivery, {rounds} rounds each (s)",
        ("after", "the start: median", "most", "its imports: median", "most"),
        [(name, *_row(took)) for name, took in found.items()],
        (f"Load average of the last minute: {before:.1f}, at the end {load_average():.1f}.",),
    )
    values = {
        name: [{"delivered_s": one.delivered_s, "imported_s": one.imported_s} for one in took]
        for name, took in found.items()
    }
    return Report([table], values)


def _row(took: list[Took]) -> tuple[str, ...]:
    from_start = [one.delivered_s for one in took]
    from_imports = [one.delivered_s - one.imported_s for one in took]
    shown = [f(values) for values in (from_start, from_imports) for f in (median, max)]
    return tuple(f"{seconds:.2f}" for seconds in shown)


def _of_fanout(kafka: Kafka) -> Took:
    site = make_bench_site(kafka, f"restart-{uuid4().hex[:6]}")
    with WebhookSink() as sink:
        site.subscribe("a", sink.url("a"))
        with ServiceProcess("fanout", bench_environment(site)) as fanout:
            fanout.wait_ready()
            _deliver(site, sink, "first")
            fanout.kill()
            site.publish_numbers(["second"])
            return _started(fanout, lambda: len(sink.hits) > 1, sink)


def _of_retrier(kafka: Kafka) -> Took:
    """A task that has never been attempted by it is due: its lane failed once in the fan-out."""
    site = make_bench_site(kafka, f"restart-{uuid4().hex[:6]}")
    refuse = True
    with WebhookSink(lambda _: Answer(503) if refuse else OK) as sink, _folder() as spool:
        site.subscribe("a", sink.url("a"))
        told = bench_environment(site, RETRIER__SPOOL_DIR=spool)
        with ServiceProcess("fanout", told) as fanout, ServiceProcess("retrier", told) as retrier:
            fanout.wait_ready()
            retrier.wait_ready()
            _deliver(site, sink, "k")
            retrier.wait_for(lambda: retrier.metric("hooklane_backlog_tasks") == 1)
            retrier.kill()
            # Until it is due, so that nothing else is waited for.
            time.sleep(6.0)
            refuse, before = False, len(sink.hits)
            return _started(retrier, lambda: len(sink.hits) > before, sink)


def _deliver(site: Site, sink: WebhookSink, key: str) -> None:
    site.publish_numbers([key])
    sink.wait_for(lambda: len(sink.hits) > 0)


def _started(process: ServiceProcess, delivered: Callable[[], bool], sink: WebhookSink) -> Took:
    began, began_wall = time.monotonic(), time.time()
    process.start()
    sink.wait_for(delivered, _FIRST_S)
    first = process.log_lines()[0]
    imported = datetime.fromisoformat(first["timestamp"]).timestamp()
    return Took(sink.hits[-1].at - began, imported - began_wall)


def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory()
