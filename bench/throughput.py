"""Kafka to a receiver in C: one fan-out process on one core, and beside it a hand-written loop."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from bench.contestants import Contestant, HooklaneFanout, LoopByBatches, LoopByPolls
from bench.load import EVENT_BYTES, KEYS, PARTITIONS, Publisher
from bench.machine import Cores, Usage, load_average, on, peak_rss_mib, usage
from bench.sinks import CountingSink, Counts, build_sink
from bench.tables import Report, Table
from tests.kafka.broker import Kafka

_WARM_UP = 2_000
_LOOK_S = 0.005
_LONGEST_S = 180.0
_CONTESTANTS = (HooklaneFanout, LoopByPolls, LoopByBatches)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `others` is the share of the core that other processes took meanwhile.

    `overlaps` and `disorder`: requests of a key while another of it was not answered, and behind
    a later one; the loop's requests say neither key nor sequence.
    """

    name: str
    per_second: float
    cpu_us: float
    peak_rss_mib: float
    others: float
    overlaps: int
    disorder: int


@dataclass(frozen=True, slots=True)
class Runs:
    """How often what is run. `events` are counted without the warm-up."""

    events: int
    rounds: int
    delays_ms: Sequence[int]


class Observer(Protocol):
    """Looks at a process while it is measured."""

    def began(self, pid: int) -> None:
        """All events have been published, and it has begun to deliver them."""

    def ended(self, pid: int) -> None:
        """It has delivered them."""


class Arena:
    """Broker, cores and sink program of one run of the benchmark."""

    def __init__(self, kafka: Kafka, cores: Cores | None, sink: Path) -> None:
        self._kafka = kafka
        self._cores = cores
        self._sink = sink
        self._publisher = Publisher(kafka)

    def measure(
        self,
        kind: Callable[[Kafka, CountingSink], Contestant],
        events: int,
        delay_ms: int,
        observer: Observer | None = None,
        addresses: int = 0,
    ) -> Measured:
        """Start one, warm it up, give it `events` at once and wait until all are delivered."""
        with ExitStack() as stack:
            sink = stack.enter_context(CountingSink(self._sink, delay_ms, addresses))
            one = kind(self._kafka, sink)
            with on(self._measured_cores()):
                stack.enter_context(one)
            self._publisher.publish(one.topic, _WARM_UP, 1, one.keys)
            until_delivered(sink, _WARM_UP)
            before, began = self._usage(one), time.monotonic()
            self._publisher.publish(one.topic, events, 2, one.keys)
            if observer is not None:
                observer.began(one.pid)
            counts = until_delivered(sink, _WARM_UP + events)
            seconds, after = time.monotonic() - began, self._usage(one)
            if observer is not None:
                observer.ended(one.pid)
            one.check()
            _check(counts, _WARM_UP + events)
            return Measured(
                name=one.name,
                per_second=events / seconds,
                cpu_us=(after.process_s - before.process_s) / events * 1e6,
                peak_rss_mib=peak_rss_mib(one.pid),
                others=self._others(before, after, seconds),
                overlaps=counts.overlaps,
                disorder=counts.disorder,
            )

    def _measured_cores(self) -> frozenset[int]:
        if self._cores is None:
            return frozenset(os.sched_getaffinity(0))
        return frozenset({self._cores.measured})

    def _usage(self, one: Contestant) -> Usage:
        return usage(one.pid, None if self._cores is None else self._cores.measured)

    def _others(self, before: Usage, after: Usage, seconds: float) -> float:
        core_s = after.core_s - before.core_s
        return max(core_s - (after.process_s - before.process_s), 0.0) / seconds


def measure_throughput(kafka: Kafka, cores: Cores | None, runs: Runs) -> Report:
    """Both in turn, as often as told, for each delay of the sink."""
    tables, values = [], {}
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder:
        arena = Arena(kafka, cores, build_sink(Path(folder)))
        for delay_ms in runs.delays_ms:
            found = [
                [arena.measure(kind, runs.events, delay_ms) for kind in _CONTESTANTS]
                for _ in range(runs.rounds)
            ]
            table, summary = _report(found, runs, delay_ms)
            tables.append(table)
            values[f"sink_{delay_ms}_ms"] = summary
    return Report(tables, values)


def _report(
    rounds: Sequence[Sequence[Measured]], runs: Runs, delay_ms: int
) -> tuple[Table, dict[str, object]]:
    answering = "at once" if delay_ms == 0 else f"after {delay_ms} ms"
    own, *loops = (Column(runs) for runs in zip(*rounds, strict=True))
    table = Table(
        f"Throughput, a sink that answers {answering}: {runs.events:,} events of {EVENT_BYTES} "
        f"bytes, {KEYS:,} keys, {PARTITIONS} partitions, medians of {runs.rounds}",
        (
            "one process, one core",
            "deliveries/s",
            "CPU us each",
            "peak MiB",
            "others' CPU",
            "fan-out's speed / its",
            "fan-out's CPU / its",
        ),
        [own.row("", ""), *(one.row(*map(_ratio, own.ratios(one))) for one in loops)],
        [_order_note(own), f"Load average of the last minute: {load_average():.1f}."],
    )
    summary: dict[str, object] = {
        "runs": [asdict(one) for column in (own, *loops) for one in column.runs],
        "ratios": {
            one.runs[0].name: dict(zip(("speed", "cpu"), own.ratios(one), strict=True))
            for one in loops
        },
    }
    return table, summary


@dataclass(frozen=True, slots=True)
class Column:
    """The runs of one contestant, round by round."""

    runs: Sequence[Measured]

    def row(self, *ratios: str) -> tuple[str, ...]:
        return (
            self.runs[0].name,
            f"{median(one.per_second for one in self.runs):,.0f}",
            f"{median(one.cpu_us for one in self.runs):.0f}",
            f"{median(one.peak_rss_mib for one in self.runs):.0f}",
            f"{median(one.others for one in self.runs):.0%}",
            *ratios,
        )

    def ratios(self, other: "Column") -> tuple[float, float]:
        """Its speed and its CPU time a delivery by those of another: medians over the rounds."""
        pairs = list(zip(self.runs, other.runs, strict=True))
        return (
            median(one.per_second / another.per_second for one, another in pairs),
            median(one.cpu_us / another.cpu_us for one, another in pairs),
        )

    @property
    def overlaps(self) -> int:
        return sum(one.overlaps for one in self.runs)

    @property
    def disorder(self) -> int:
        return sum(one.disorder for one in self.runs)


def _order_note(own: Column) -> str:
    return (
        f"Of the fan-out's requests {own.overlaps} came while another of their key was not "
        f"answered yet, and {own.disorder} behind a later one of their key."
    )


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def until_delivered(sink: CountingSink, deliveries: int) -> Counts:
    deadline = time.monotonic() + _LONGEST_S
    while (counts := sink.counts).deliveries < deliveries:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"only {counts.deliveries} of {deliveries} deliveries in {_LONGEST_S:.0f} s"
            )
        time.sleep(_LOOK_S)
    return counts


def _check(counts: Counts, deliveries: int) -> None:
    """What is not right is not measured."""
    assert counts.deliveries == deliveries, f"{counts.deliveries} instead of {deliveries}"
    assert counts.bad == 0, f"{counts.bad} requests that the sink could not read"
