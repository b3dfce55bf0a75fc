"""A subscriber that is dead for a long time, and comes back: memory, restarts, drain, neighbours.

In one run, on all cores of the machine, one `hooklane fanout` and one `hooklane retrier`:

1. a steady flow of 200 events a second to a subscriber that is well, alone;
2. events for the other subscriber while it is well too: direct delivery, the measure for 5;
3. its receiver dies, and the backlog is filled;
4. the retrier is killed and started again with its spool, then without it: until its first attempt;
5. the receiver comes back: the drain, with the steady flow beside it, until no lane is blocked.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from bench.flow import PER_SECOND, Latency, SteadyFlow
from bench.load import (
    EVENT_BYTES,
    PARTITIONS,
    Publisher,
    bench_environment,
    make_bench_site,
)
from bench.machine import load_average, peak_rss_mib, usage
from bench.sinks import CountingSink, NotingSink, build_sink
from bench.tables import Report, Table
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic
from tests.support.processes import ServiceProcess
from tests.support.site import SECRET

_IN_FLIGHT = 256
"""Half of what a process has by default, which is the most that one subscription can take."""
_WARM_UP_S = 5.0
_ALONE_S = 20.0
_MOST_DIRECT = 100_000
_LOOK_S = 0.02
_SLOWEST = 300
"""Deliveries a second below which a phase is given up."""
_SCHEDULE = ["5s"] * 200
_ATTEMPTS = 'hooklane_delivery_attempts_total{outcome="failed",service="retrier"}'


@dataclass(slots=True)
class Findings:
    """What a run found. Speeds: deliveries a second; memory: MiB; times: seconds."""

    tasks: int
    keys: int
    direct: int
    latencies: dict[str, Latency] = field(default_factory=dict)
    per_second: dict[str, float] = field(default_factory=dict)
    cpu_us: dict[str, float] = field(default_factory=dict)
    fanout_mib: float = 0.0
    retrier_mib: float = 0.0
    restart_s: float = 0.0
    rebuild_s: float = 0.0
    released_s: float = 0.0


def measure_bounded(kafka: Kafka, tasks: int, keys: int) -> Report:
    """One run with a backlog of `tasks` in lanes of `keys` keys.

    Raises:
        AssertionError: not everything was delivered once and in order.
    """
    before = load_average()
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder, ExitStack() as stack:
        findings = _Run(kafka, Path(folder), tasks, keys, stack).run()
    return _report(findings, before)


class _Run:
    def __init__(self, kafka: Kafka, folder: Path, tasks: int, keys: int, stack: ExitStack) -> None:
        self._kafka = kafka
        self._stack = stack
        self._spool = folder / "spool"
        self._publisher = Publisher(kafka)
        self._found = Findings(tasks, keys, min(tasks, _MOST_DIRECT))
        self._receiver = CountingSink(build_sink(folder), delay_ms=0)
        site = make_bench_site(kafka, f"bounded-{uuid4().hex[:6]}")
        self._topic = site.events
        flow_topic = create_topic(kafka, f"{site.prefix}-flow", PARTITIONS)
        noting = stack.enter_context(NotingSink())
        self._flow = SteadyFlow(kafka, flow_topic, noting)
        signing = {"scheme": "standard", "secrets": [SECRET]}
        with self._receiver:
            url = self._receiver.url
        site.subscribe(
            "dying",
            url,
            match={"topics": [site.events]},
            signing=signing,
            delivery={"max_in_flight": _IN_FLIGHT},
            retry={"schedule": _SCHEDULE},
        )
        site.subscribe("well", noting.url("well"), match={"topics": [flow_topic]}, signing=signing)
        told = bench_environment(
            site,
            FANOUT__TOPICS=f'["{site.events}", "{flow_topic}"]',
            RETRIER__SPOOL_DIR=str(self._spool),
        )
        self._fanout = ServiceProcess("fanout", told, site.prefix)
        self._retrier = ServiceProcess("retrier", told, site.prefix)

    def run(self) -> Findings:
        found = self._found
        self._stack.enter_context(self._fanout)
        self._stack.enter_context(self._retrier)
        self._fanout.wait_ready()
        self._retrier.wait_ready()
        self._alone()
        self._direct()
        self._fill()
        found.restart_s = self._until_first_attempt("with its spool")
        shutil.rmtree(self._spool)
        found.rebuild_s = self._until_first_attempt("without its spool")
        self._drain()
        found.fanout_mib = peak_rss_mib(self._fanout.pid)
        self._note_retrier_memory()
        return found

    def _alone(self) -> None:
        _say("the steady flow alone")
        with self._flow:
            time.sleep(_WARM_UP_S)
        self._with_flow("alone", lambda: time.sleep(_ALONE_S))

    def _direct(self) -> None:
        """Published while the fan-out is away, as the backlog waits before it is drained."""
        direct = self._found.direct
        _say(f"direct delivery of {direct:,}")
        self._fanout.terminate()
        self._publisher.publish(self._topic, direct, seed=1, keys=self._found.keys)
        with self._receiver:
            self._fanout.start()
            self._fanout.wait_ready()
            self._with_flow("direct", lambda: self._arrive("direct", direct, self._fanout))

    def _fill(self) -> None:
        tasks = self._found.tasks
        _say(f"a backlog of {tasks:,}")
        began, before = time.monotonic(), self._cpu_s()
        self._publisher.publish(self._topic, tasks, seed=2, keys=self._found.keys)
        self._with_flow(
            "filling",
            lambda: self._retrier.wait_for(
                lambda: self._retrier.metric("hooklane_backlog_tasks") >= tasks,
                60 + tasks / _SLOWEST,
            ),
        )
        self._speed("filling", tasks, began, before)
        self._note_retrier_memory()

    def _until_first_attempt(self, how: str) -> float:
        """Killed, and started again: from the start of the process."""
        _say(f"a restart {how}")
        self._retrier.kill()
        began = time.monotonic()
        self._retrier.start()
        self._retrier.wait_for(lambda: self._retrier.metric(_ATTEMPTS) > 0, 600.0)
        seconds = time.monotonic() - began
        self._note_retrier_memory()
        _say(f"  {seconds:.1f} s; peak MiB: retrier {peak_rss_mib(self._retrier.pid):.0f}")
        return seconds

    def _drain(self) -> None:
        tasks = self._found.tasks
        _say("the drain")
        with self._receiver:
            self._with_flow("draining", lambda: self._arrive("draining", tasks, self._retrier))
            arrived = time.monotonic()
            self._retrier.wait_for(
                lambda: self._retrier.metric("hooklane_backlog_tasks") == 0, 60.0
            )
            self._fanout.wait_for(lambda: self._fanout.metric("hooklane_lanes_blocked") == 0, 60.0)
            self._found.released_s = time.monotonic() - arrived
            assert self._receiver.counts.deliveries == tasks, "something was delivered twice"

    def _arrive(self, phase: str, deliveries: int, service: ServiceProcess) -> None:
        """Wait for exactly so many, in order. The speed: from the first arrival to the last."""
        receiver = self._receiver
        service.wait_for(lambda: receiver.counts.deliveries > 0, 120.0)
        began, before = time.monotonic(), self._cpu_s()
        first = receiver.counts.deliveries
        deadline = began + 60 + deliveries / _SLOWEST
        while (counts := receiver.counts).deliveries < deliveries:
            if time.monotonic() > deadline:
                raise AssertionError(f"{phase}: {counts.deliveries} of {deliveries} arrived")
            time.sleep(_LOOK_S)
        self._speed(phase, deliveries - first, began, before)
        assert counts.deliveries == deliveries, f"{phase}: {counts.deliveries} of {deliveries}"
        assert counts.overlaps == counts.disorder == counts.bad == 0, f"{phase}: {counts}"

    def _with_flow(self, phase: str, wait: Callable[[], None]) -> None:
        with self._flow:
            wait()
        self._found.latencies[phase] = latency = self._flow.latency(30.0)
        _say(f"  latency of the flow: p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms")

    def _speed(
        self, phase: str, deliveries: int, began: float, before: tuple[float, float]
    ) -> None:
        per_second = self._found.per_second[phase] = deliveries / (time.monotonic() - began)
        fanout, retrier = (
            (now - then) / deliveries * 1e6 for now, then in zip(self._cpu_s(), before, strict=True)
        )
        self._found.cpu_us[f"{phase}: fanout"] = fanout
        self._found.cpu_us[f"{phase}: retrier"] = retrier
        _say(
            f"  {per_second:,.0f}/s; CPU us each: fanout {fanout:.0f}, retrier {retrier:.0f}; "
            f"peak MiB: fanout {peak_rss_mib(self._fanout.pid):.0f}, "
            f"retrier {peak_rss_mib(self._retrier.pid):.0f}"
        )

    def _cpu_s(self) -> tuple[float, float]:
        return usage(self._fanout.pid, None).process_s, usage(self._retrier.pid, None).process_s

    def _note_retrier_memory(self) -> None:
        """Each of its processes has a peak of its own."""
        self._found.retrier_mib = max(self._found.retrier_mib, peak_rss_mib(self._retrier.pid))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _report(found: Findings, load_before: float) -> Report:
    drain = found.per_second["draining"] / found.per_second["direct"]
    beside = found.latencies["draining"].p99 / found.latencies["alone"].p99
    bounds = [
        _Bound("fan-out, peak memory, MiB", found.fanout_mib, 300),
        _Bound("retrier, peak memory, MiB", found.retrier_mib, 400),
        _Bound("retrier with its spool: first attempt after, s", found.restart_s, 20),
        _Bound("retrier without its spool: first attempt after, s", found.rebuild_s, 120),
        _Bound("drain / direct delivery", drain, 0.5, at_least=True),
        _Bound("p99 of another subscription, drain / alone", beside, 3),
    ]
    table = Table(
        f"A subscriber that was dead for {found.tasks:,} deliveries of {EVENT_BYTES} bytes, "
        f"{found.keys:,} keys",
        ("what", "found", "bound", "holds"),
        [one.row() for one in bounds],
        (
            "Everything was delivered once and in order.",
            f"All lanes were released {found.released_s:.1f} s after the last arrival.",
            f"Load average of the minute before: {load_before:.1f}.",
        ),
    )
    phases = Table(
        f"The phases ({found.direct:,} deliveries directly)",
        ("phase", "deliveries/s", "CPU us: fan-out", "retrier", "flow's p50, ms", "p99, ms"),
        [_phase(found, name) for name in found.latencies],
        (f"The flow: {PER_SECOND} events a second to another subscription.",),
    )
    values = asdict(found) | {one.what: one.value for one in bounds}
    return Report([table, phases], values)


@dataclass(frozen=True, slots=True)
class _Bound:
    what: str
    value: float
    bound: float
    at_least: bool = False

    def row(self) -> tuple[str, str, str, str]:
        holds = self.value >= self.bound if self.at_least else self.value <= self.bound
        word = "at least" if self.at_least else "at most"
        return (self.what, f"{self.value:.2f}", f"{word} {self.bound:g}", "yes" if holds else "NO")


def _phase(found: Findings, phase: str) -> tuple[str, ...]:
    latency = found.latencies[phase]
    worked = phase in found.per_second
    return (
        phase,
        f"{found.per_second[phase]:,.0f}" if worked else "",
        f"{found.cpu_us[f'{phase}: fanout']:.0f}" if worked else "",
        f"{found.cpu_us[f'{phase}: retrier']:.0f}" if worked else "",
        f"{latency.p50:.1f}",
        f"{latency.p99:.1f}",
    )
