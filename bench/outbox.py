"""One outbox relay: rows a second out of a full table, and the time from a commit to Kafka.

python -m bench.outbox --rows 50000
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

from confluent_kafka import Consumer

from bench.machine import load_average
from bench.tables import Report, Table
from hooklane.runtime.settings_outbox import OutboxSettings
from tests.kafka.broker import Kafka, SingleBroker
from tests.kafka.fetch import ensure_jars
from tests.kafka.records import create_topic, read_topic
from tests.support.outbox import Outbox
from tests.support.postgres import Postgres, ensure_postgres

_COMMITS = 500
_WARM_UP = 20
_INTERVAL_S = 0.02
_LATEST_S = 60.0
_PAYLOAD = '{"customer": "c-42", "amount": 120.50, "currency": "EUR", "lines": [1, 2, 3]}'


def measure_outbox(kafka: Kafka, rows: int) -> Report:
    """Both, on a PostgreSQL of its own whose disk is not waited for (`fsync=off`)."""
    before = load_average()
    postgres = Postgres(ensure_postgres())
    try:
        postgres.start()
        rate = _drain(postgres, kafka, rows)
        took = _latencies(postgres, kafka)
    finally:
        postgres.close()
    marks = quantiles(took, n=100, method="inclusive")
    table = Table(
        f"One outbox relay, {rows} rows of 1,000 keys; then {len(took)} commits, one every 20 ms",
        ("", "rows/s", "p50 ms", "p99 ms", "most ms"),
        [
            ("out of a full table", f"{rate:.0f}", "", "", ""),
            (
                "commit to a consumer",
                "",
                f"{marks[49]:.1f}",
                f"{marks[98]:.1f}",
                f"{max(took):.1f}",
            ),
        ],
        (f"Load average of the last minute: {before:.1f}, at the end {load_average():.1f}.",),
    )
    values = {"rows_per_s": rate, "p50_ms": marks[49], "p99_ms": marks[98], "most_ms": max(took)}
    return Report([table], values)


def _outbox(postgres: Postgres, kafka: Kafka) -> tuple[Outbox, str]:
    prefix = f"outbox-{uuid4().hex[:6]}"
    topic = create_topic(kafka, f"{prefix}.orders", partitions=6)
    return Outbox(
        postgres, kafka, prefix, OutboxSettings(topic=f"{prefix}.{{aggregatetype}}")
    ), topic


def _drain(postgres: Postgres, kafka: Kafka, rows: int) -> float:
    """Rows a second, by the times that Kafka's records have."""
    outbox, topic = _outbox(postgres, kafka)
    outbox.run(
        "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) SELECT "
        "gen_random_uuid(), 'orders', 'k' || mod(n, 1000), 'order.paid', %s "
        "FROM generate_series(1, %s) AS n",
        (_PAYLOAD, rows),
    )
    outbox.run("ANALYZE outbox")
    with outbox.relay() as relay:
        relay.wait_for(lambda: outbox.left() == 0, _LATEST_S)
    times = [one.timestamp_ms for one in read_topic(kafka, topic)]
    if len(times) != rows:
        raise AssertionError(f"{len(times)} of {rows} rows were published")
    return rows * 1000 / (max(times) - min(times))


def _latencies(postgres: Postgres, kafka: Kafka) -> list[float]:
    """Milliseconds from each commit's return to the event at a consumer of committed records."""
    outbox, topic = _outbox(postgres, kafka)
    committed: dict[bytes, int] = {}
    arrived: dict[bytes, int] = {}
    wanted = _WARM_UP + _COMMITS
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.subscribe([topic])

    def consume() -> None:
        end = time.monotonic() + _LATEST_S
        while len(arrived) < wanted and time.monotonic() < end:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                arrived[bytes(message.key() or b"")] = time.monotonic_ns()
        consumer.close()

    thread = threading.Thread(target=consume)
    with outbox.relay(OUTBOX__LOOK_EVERY="30s") as relay, outbox.connect() as connection:
        relay.wait_for(lambda: relay.metric("hooklane_outbox_buckets") > 0)
        thread.start()
        for number in range(wanted):
            connection.execute(
                "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) "
                "VALUES (gen_random_uuid(), 'orders', %s, 'order.paid', %s)",
                (f"k{number}", _PAYLOAD),
            )
            committed[f"k{number}".encode()] = time.monotonic_ns()
            time.sleep(_INTERVAL_S)
        thread.join()
    if len(arrived) != wanted:
        raise AssertionError(f"{len(arrived)} of {wanted} events arrived")
    warm = {f"k{number}".encode() for number in range(_WARM_UP)}
    return [(arrived[key] - at) / 1e6 for key, at in committed.items() if key not in warm]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the outbox relay here.")
    parser.add_argument("--rows", type=int, default=50_000, metavar="N")
    told = parser.parse_args()
    broker = SingleBroker(ensure_jars(), Path(tempfile.mkdtemp(prefix="hooklane-bench-kafka-")))
    try:
        for table in measure_outbox(broker.start(), told.rows).tables:
            print(table.text())
    finally:
        broker.close()


if __name__ == "__main__":
    main()
