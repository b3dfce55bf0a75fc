"""`python -m bench.run`: measures Hooklane on this machine against a real Kafka.

Tables go to the standard output; with `--json` one JSON document instead. See README.md here for
what is measured and how to read it.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from bench.bounded import measure_bounded
from bench.find import measure_find
from bench.isolation import measure_isolation
from bench.latency import measure_latency
from bench.load import KEYS
from bench.machine import Cores, choose_cores, on
from bench.origins import measure_origins
from bench.paced import measure_paced
from bench.profile import ProfilerError, measure_stages
from bench.publish import measure_publish
from bench.restart import measure_restart
from bench.sinks import NoCompilerError
from bench.tables import Report
from bench.throughput import Runs, measure_throughput
from bench.tracing import measure_tracing
from tests.kafka.broker import Kafka, SingleBroker
from tests.kafka.fetch import KafkaUnavailableError, ensure_jars

_PINNED = ("throughput", "profile", "tracing", "paced", "origins")
_Measure = Callable[[Kafka, Cores | None, argparse.Namespace], Report]
_MEASURES: dict[str, _Measure] = {
    "latency": lambda kafka, _, told: measure_latency(kafka, told.latency_events),
    "isolation": lambda kafka, _, told: measure_isolation(kafka, told.rounds),
    "restart": lambda kafka, _, told: measure_restart(kafka, told.rounds),
    "throughput": lambda kafka, cores, told: measure_throughput(kafka, cores, _runs(told)),
    "paced": lambda kafka, cores, told: measure_paced(kafka, cores, told.events, told.delay_ms),
    "origins": lambda kafka, cores, told: measure_origins(kafka, cores, _runs(told)),
    "profile": lambda kafka, cores, told: measure_stages(kafka, cores, told.events),
    "publish": lambda kafka, _, told: measure_publish(kafka, told.events, told.rounds),
    "bounded": lambda kafka, _, told: measure_bounded(kafka, told.tasks, told.keys),
    "tracing": lambda kafka, cores, told: measure_tracing(kafka, cores, _runs(told)),
    "find": lambda kafka, _, told: measure_find(kafka, told.attempts, told.rounds),
}
_ALONE = ("bounded", "tracing", "find")
"""Only when they are asked for: they take long."""
_BENCHMARKS = tuple(name for name in _MEASURES if name not in _ALONE)


def main() -> int:
    told = _arguments()
    # So that what was started is ended also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [told.only] if told.only else list(_BENCHMARKS)
    try:
        found = {name: _run(name, told) for name in wanted}
    except (KafkaUnavailableError, NoCompilerError, ProfilerError) as error:
        print(error, file=sys.stderr)
        return 1
    if told.json:
        print(json.dumps({name: report.values for name, report in found.items()}, indent=2))
    return 0


def _run(name: str, told: argparse.Namespace) -> Report:
    """On a broker of its own. What is measured by CPU time has a core for itself."""
    cores = choose_cores() if name in _PINNED else None
    if name in _PINNED and cores is None:
        print("There is one core only: nothing is pinned, figures mix everything.", file=sys.stderr)
    with on(cores.rest) if cores is not None else nullcontext():
        broker = SingleBroker(ensure_jars(), Path(tempfile.mkdtemp(prefix="hooklane-bench-kafka-")))
        try:
            return _measure(name, broker.start(), cores, told)
        finally:
            broker.close()


def _measure(name: str, kafka: Kafka, cores: Cores | None, told: argparse.Namespace) -> Report:
    print(f"Measuring {name} ...", file=sys.stderr)
    report = _MEASURES[name](kafka, cores, told)
    if not told.json:
        for table in report.tables:
            print(table.text())
    return report


def _runs(told: argparse.Namespace) -> Runs:
    return Runs(told.events, told.rounds, tuple(told.delay_ms))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Hooklane here.")
    parser.add_argument(
        "--only",
        choices=list(_MEASURES),
        help="one of them; default: all but bounded, tracing and find",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--latency-events", type=int, default=200, metavar="N")
    parser.add_argument("--events", type=int, default=40_000, metavar="N", help="a round")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--tasks", type=int, default=1_000_000, metavar="N", help="of bounded")
    parser.add_argument("--attempts", type=int, default=1_000_000, metavar="N", help="of find")
    parser.add_argument("--keys", type=int, default=KEYS, metavar="N", help="of bounded")
    parser.add_argument(
        "--delay-ms",
        type=int,
        nargs="+",
        default=[0, 20],
        metavar="MS",
        help="how long the receiver waits before it answers: one table each",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
