"""How long events are under way while a fan-out has a part of its top speed to do.

The top speed is found first, in the same process: a burst, as in the throughput benchmark. Then
events come evenly, 10, 50 and 90 % of that a second; their time is from `produce()` to the request
at the sink.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, TypeAlias

from confluent_kafka import Producer

from bench.contestants import HooklaneFanout
from bench.load import Publisher, events_of
from bench.machine import Cores, load_average, on, peak_rss_mib
from bench.sinks import CountingSink, build_sink
from bench.tables import Report, Table
from bench.throughput import until_delivered
from tests.kafka.broker import Kafka

_WARM_UP: Final = 2_000
_SHARES: Final = (0.1, 0.5, 0.9)
_SECONDS: Final = 10.0
_TICK_S: Final = 0.002

Headers: TypeAlias = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class Paced:
    """One pace. Times: milliseconds."""

    share: float
    per_second: float
    p50: float
    p95: float
    p99: float


def measure_paced(
    kafka: Kafka, cores: Cores | None, events: int, delays_ms: Sequence[int]
) -> Report:
    """A table for each delay of the sink; `events` make the burst."""
    tables: list[Table] = []
    values: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder:
        program = build_sink(Path(folder))
        for delay_ms in delays_ms:
            with ExitStack() as stack:
                run = _Run(kafka, cores, stack, program, delay_ms)
                top = run.burst(events)
                found = [run.pace(share, top) for share in _SHARES]
                tables.append(_table(delay_ms, top, found, run.peak_mib))
                values[f"sink_{delay_ms}_ms"] = {"top": top, "paces": [*map(asdict, found)]}
    return Report(tables, values)


class _Run:
    """One fan-out, on a core of its own, and its receiver."""

    def __init__(
        self, kafka: Kafka, cores: Cores | None, stack: ExitStack, program: Path, delay_ms: int
    ) -> None:
        self._sink = stack.enter_context(CountingSink(program, delay_ms))
        self._fanout = HooklaneFanout(kafka, self._sink)
        with on(frozenset({cores.measured})) if cores is not None else nullcontext():
            stack.enter_context(self._fanout)
        self._publisher = Publisher(kafka)
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 5})
        self._published = 0

    @property
    def peak_mib(self) -> float:
        return peak_rss_mib(self._fanout.pid)

    def burst(self, events: int) -> float:
        """The top speed, deliveries a second, after a warm-up."""
        self._publish(_WARM_UP, seed=1)
        began = time.monotonic()
        self._publish(events, seed=2)
        return events / (time.monotonic() - began)

    def pace(self, share: float, top: float) -> Paced:
        """Events at this share of the top speed, and how long they took."""
        before, per_second = self._sink.took, share * top
        count, began = round(per_second * _SECONDS), time.monotonic()
        for number, (key, value) in enumerate(events_of(count, seed=3)):
            while time.monotonic() < began + number / per_second:
                self._producer.poll(_TICK_S)
            sent: Headers = [("ce_sentns", b"%d" % time.monotonic_ns())]
            self._producer.produce(self._fanout.topic, value, key, headers=sent)
        self._producer.flush()
        self._published += count
        until_delivered(self._sink, self._published)
        self._fanout.check()
        took = [now - then for now, then in zip(self._sink.took, before, strict=True)]
        return Paced(share, per_second, *(_quantile(took, part) for part in (0.5, 0.95, 0.99)))

    def _publish(self, events: int, seed: int) -> None:
        self._publisher.publish(self._fanout.topic, events, seed)
        self._published += events
        until_delivered(self._sink, self._published)


def _quantile(took: Sequence[int], part: float) -> float:
    """In milliseconds, the upper end of the tenth that it is in."""
    wanted = part * sum(took)
    return next(at + 1 for at, upto in enumerate(accumulate(took)) if upto >= wanted) / 10


def _table(delay_ms: int, top: float, found: Sequence[Paced], peak_mib: float) -> Table:
    answering = "at once" if delay_ms == 0 else f"after {delay_ms} ms"
    return Table(
        f"Latency by pace, a sink that answers {answering}: produce() to arrival (ms)",
        ("part of the top speed", "events/s", "p50", "p95", "p99"),
        [
            (
                f"{one.share:.0%}",
                f"{one.per_second:,.0f}",
                f"{one.p50:.1f}",
                f"{one.p95:.1f}",
                f"{one.p99:.1f}",
            )
            for one in found
        ],
        (
            f"Top speed: {top:,.0f} deliveries/s. Peak memory: {peak_mib:.0f} MiB.",
            f"Load average of the last minute: {load_average():.1f}.",
        ),
    )
