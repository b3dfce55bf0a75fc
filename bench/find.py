"""One event among a million attempts, found by `hooklane attempts` as somebody types it."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from uuid import UUID, uuid4

from confluent_kafka import Producer

from bench.load import KEYS, PARTITIONS, bench_environment, make_bench_site
from bench.machine import load_average
from bench.tables import Report, Table
from hooklane.ops.partitioners import murmur2
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.schemas.codec import ATTEMPTS
from hooklane.schemas.lane import LaneNamer, lane_partition
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt
from tests.kafka.broker import Kafka
from tests.support.processes import hooklane_ok
from tests.support.site import Site

SUBSCRIPTIONS = 20
_DAYS_MS = 6 * 24 * 3_600_000
_FLUSH_S = 60.0
_ANSWER = b'{"received":true,"request":"8f0c1d2e-7a53-4a0e-9a53-0d8f1f1f7c55"}'


@dataclass(frozen=True, slots=True)
class Wanted:
    """The event to be found, from the middle of the time."""

    event_id: str
    subscription: str
    key: str
    at_ms: int
    attempts: int


def measure_find(kafka: Kafka, attempts: int, rounds: int) -> Report:
    """So many attempts of six days, and how long the command takes for those of one event.

    Raises:
        AssertionError: it did not find what was written.
    """
    before = load_average()
    site = make_bench_site(kafka, f"find-{uuid4().hex[:6]}")
    for number in range(SUBSCRIPTIONS):
        site.subscribe(_subscription(number), "https://receiver.example/", uid=f"u{number}")
    admin = KafkaAdmin(KafkaAccess(kafka.bootstrap_servers))
    # A few events, by which the command sees how the topic's publisher chooses partitions.
    site.publish_numbers([f"k{number}" for number in range(200)])
    wanted = _write(site, admin.topic_ids([site.events])[site.events], attempts)
    ways = {
        "subscription and key": ("--subscription", wanted.subscription, "--key", wanted.key),
        "subscription, key and event": (
            *("--subscription", wanted.subscription),
            *("--key", wanted.key, "--event", wanted.event_id),
        ),
        "event, within six hours": (*_around(wanted.at_ms), "--event", wanted.event_id),
        "event alone": ("--event", wanted.event_id),
    }
    found = {name: _timed(site, wanted, options, rounds) for name, options in ways.items()}
    return _report(attempts, found, before)


def _timed(site: Site, wanted: Wanted, options: tuple[str, ...], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        begun = time.monotonic()
        told = hooklane_ok(bench_environment(site), "attempts", *options, "--output", "json")
        seconds.append(time.monotonic() - begun)
        rows = [row for row in json.loads(told) if row["event_id"] == wanted.event_id]
        assert len(rows) == wanted.attempts, (options, told)
    return seconds


def _write(site: Site, events_topic_id: str, attempts: int) -> Wanted:
    """Their times rise over six days to now.

    Not in transactions, as the services write: the markers of those have the broker's time, and
    offsets are looked up by time.
    """
    producer = Producer(
        {
            "bootstrap.servers": site.kafka.bootstrap_servers,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 100_000,
        }
    )
    wanted = None
    for number, record in enumerate(_records(site, events_topic_id, attempts)):
        if wanted is None and number >= attempts // 2 and record.next_ms:
            wanted = record
        producer.produce(
            site.names.attempts,
            ATTEMPTS.encode(record),
            record.lane,
            lane_partition(record.lane, PARTITIONS),
            timestamp=record.started_ms + 20,
        )
        if number % 1000 == 0:
            producer.poll(0)
    left = producer.flush(_FLUSH_S)
    if left or wanted is None or wanted.key is None:
        raise TimeoutError(f"{left} attempts were not acked within {_FLUSH_S:.0f} s")
    key = wanted.key.decode()
    return Wanted(wanted.event_id, wanted.subscription, key, wanted.started_ms, attempts=2)


def _records(site: Site, events_topic_id: str, attempts: int) -> Iterator[DeliveryAttempt]:
    """One event in ten fails at first, and its second attempt follows."""
    chosen = random.Random(8)
    namers = {
        (number, partition): LaneNamer(
            f"{site.prefix}-fanout", _subscription(number), f"u{number}", events_topic_id, partition
        )
        for number in range(SUBSCRIPTIONS)
        for partition in range(PARTITIONS)
    }
    first_ms = time.time_ns() // 1_000_000 - _DAYS_MS
    written = offset = 0
    while written < attempts:
        key = b"k%d" % chosen.randrange(KEYS)
        partition = (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
        number = chosen.randrange(SUBSCRIPTIONS)
        at_ms = first_ms + written * _DAYS_MS // attempts
        first = DeliveryAttempt(
            lane=namers[number, partition].lane(key),
            sequence=offset,
            webhook_id=namers[number, partition].webhook_id(offset),
            subscription=_subscription(number),
            uid=f"u{number}",
            run="",
            topic=site.events,
            topic_id=events_topic_id,
            partition=partition,
            key=key,
            event_id=str(UUID(int=chosen.getrandbits(128))),
            event_type="order.paid",
            attempt=1,
            service="fanout",
            started_ms=at_ms,
            duration_ms=chosen.random() * 200,
            outcome=AttemptOutcome.DELIVERED,
            reason="accepted",
            detail="the receiver answered 200 OK",
            status=200,
            address="203.0.113.7:443",
            response=_ANSWER,
            next_ms=None,
            trace_id=f"{chosen.getrandbits(128):032x}",
        )
        if offset % 10:
            yield first
        else:
            yield _failed(first)
            yield replace(first, attempt=2, service="retrier", started_ms=at_ms + 5_000)
        written += 1 if offset % 10 else 2
        offset += 1


def _failed(attempt: DeliveryAttempt) -> DeliveryAttempt:
    return replace(
        attempt,
        outcome=AttemptOutcome.FAILED,
        reason="status",
        detail="the receiver answered 500 Internal Server Error",
        status=500,
        next_ms=attempt.started_ms + 5_000,
    )


def _subscription(number: int) -> str:
    return f"customer-{number}-orders"


def _around(at_ms: int) -> tuple[str, ...]:
    """Three hours on each side."""
    since, until = (datetime.fromtimestamp(at_ms / 1000 + hours * 3600, UTC) for hours in (-3, 3))
    return "--since", f"{since:%Y-%m-%dT%H:%M:%SZ}", "--until", f"{until:%Y-%m-%dT%H:%M:%SZ}"


def _report(attempts: int, found: dict[str, list[float]], before: float) -> Report:
    table = Table(
        f"One event among {attempts:,} attempts of six days",
        ("asked by", "median, s", "most, s"),
        [[name, f"{median(those):.2f}", f"{max(those):.2f}"] for name, those in found.items()],
        (f"The whole command, with its start. Load average before: {before:.1f}.",),
    )
    return Report([table], {"attempts": attempts, "seconds": found, "load_before": before})
