"""What traces cost the fan-out: CPU time a delivery, without them and with parts recorded."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

from bench.contestants import Contestant, HooklaneFanout
from bench.machine import Cores, load_average
from bench.sinks import CountingSink, build_sink
from bench.tables import Report, Table
from bench.throughput import Arena, Column, Runs
from tests.kafka.broker import Kafka

_ROOT = Path(__file__).resolve().parents[1]
_RATIOS = (0.02, 0.05, 0.2, 1.0)
"""The first is the default."""


class TracedFanout(HooklaneFanout):
    """With a collector, and events without a context, so that the ratio alone decides."""

    def __init__(self, endpoint: str, ratio: float, kafka: Kafka, sink: CountingSink) -> None:
        told = {
            "TELEMETRY__OTLP_ENDPOINT": endpoint,
            "TELEMETRY__SAMPLE_RATIO": str(ratio),
        }
        super().__init__(kafka, sink, **told)
        self.name = f"traced, ratio {ratio:g}"

    def check(self) -> None:
        super().check()
        assert self._process.metric('hooklane_spans_total{outcome="sent"}') > 0, "nothing was sent"


def measure_tracing(kafka: Kafka, cores: Cores | None, runs: Runs) -> Report:
    """All in turn, as often as told; the receiver answers at once."""
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder, _collector() as endpoint:
        arena = Arena(kafka, cores, build_sink(Path(folder)))
        kinds: list[Callable[[Kafka, CountingSink], Contestant]] = [
            HooklaneFanout,
            *(partial(TracedFanout, endpoint, ratio) for ratio in _RATIOS),
        ]
        found = [
            [arena.measure(kind, runs.events, 0) for kind in kinds] for _ in range(runs.rounds)
        ]
    columns = [Column(one) for one in zip(*found, strict=True)]
    plain = columns[0]
    ratios = {one.runs[0].name: one.ratios(plain) for one in columns[1:]}
    table = Table(
        f"Traces: {runs.events:,} events, medians of {runs.rounds}",
        (
            "one process, one core",
            "deliveries/s",
            "CPU us each",
            "peak MiB",
            "others' CPU",
            "speed / without",
            "CPU / without",
        ),
        [
            plain.row("", ""),
            *(
                one.row(*(f"{ratio:.2f}" for ratio in ratios[one.runs[0].name]))
                for one in columns[1:]
            ),
        ],
        [f"Load average of the last minute: {load_average():.1f}."],
    )
    values = {
        "runs": [asdict(one) for column in columns for one in column.runs],
        "ratios": {name: {"speed": speed, "cpu": cpu} for name, (speed, cpu) in ratios.items()},
    }
    return Report([table], values)


@contextmanager
def _collector() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.collector"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()
