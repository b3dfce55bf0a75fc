"""What many receivers cost: 400 subscriptions with an address each, beside one with all keys."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.contestants import ORIGINS, ManyOrigins, OneOrigin
from bench.machine import Cores, load_average
from bench.sinks import build_sink
from bench.tables import Report, Table
from bench.throughput import Arena, Column, Runs
from tests.kafka.broker import Kafka


def measure_origins(kafka: Kafka, cores: Cores | None, runs: Runs) -> Report:
    """Both in turn, as often as told; the receiver answers at once."""
    with tempfile.TemporaryDirectory(prefix="hooklane-bench-") as folder:
        arena = Arena(kafka, cores, build_sink(Path(folder)))
        found = [
            [
                arena.measure(OneOrigin, runs.events, 0),
                arena.measure(ManyOrigins, runs.events, 0, addresses=ORIGINS),
            ]
            for _ in range(runs.rounds)
        ]
    one, many = (Column(each) for each in zip(*found, strict=True))
    ratios = many.ratios(one)
    table = Table(
        f"Origins: {runs.events:,} events, {ORIGINS} keys, medians of {runs.rounds}",
        (
            "one process, one core",
            "deliveries/s",
            "CPU us each",
            "peak MiB",
            "others' CPU",
            "speed / one",
            "CPU / one",
        ),
        [one.row("", ""), many.row(*(f"{ratio:.2f}" for ratio in ratios))],
        [f"Load average of the last minute: {load_average():.1f}."],
    )
    values = {
        "runs": [asdict(run) for column in (one, many) for run in column.runs],
        "ratios": dict(zip(("speed", "cpu"), ratios, strict=True)),
    }
    return Report([table], values)
