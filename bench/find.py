"""One event among a million attempts, found by `hooklane attempts` as somebody types it."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
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
from tests.kafka.records import Outgoing
from tests.support.processes import hooklane_ok
from tests.support.site import Site

SUBSCRIPTIONS = 20
_DAYS_MS = 6 * 24 * 3_600_000
_FLUSH_S = 60.0
_HEADERS = (
    "content-type: application/json",
    "server: nginx",
    "date: Thu, 26 Nov 2026 06:55:00 GMT",
    "x-request-id: 8f0c1d2e7a534a0e9a530d8f1f1f7c55",
    "set-cookie: [redacted]",
)
_ANSWER = b'{"received":true,"request":"8f0c1d2e-7a53-4a0e-9a53-0d8f1f1f7c55"}'


@dataclass(frozen=True, slots=True)
class Wanted:
    """The event to be found, from the middle of the time: it failed once, for one subscription."""

    event_id: str
    key: str
    partition: int
    offset: int
    at_ms: int
    subscription: int = 7
    attempts: int = 2


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
    wanted = _publish(site)
    _write(site, _Attempts(site, admin.topic_ids([site.events])[site.events], wanted), attempts)
    of_one = ("--subscription", _subscription(wanted.subscription))
    event = ("--event", wanted.event_id)
    asked = {
        "attempts, subscription and key": ("attempts", *of_one, "--key", wanted.key),
        "attempts, event within six hours": ("attempts", *_around(wanted.at_ms), *event),
        "attempts, event alone": ("attempts", *event),
        "trace, event and subscription": ("trace", wanted.event_id, "--since", "7d", *of_one),
        "trace, event alone": ("trace", wanted.event_id, "--since", "7d"),
    }
    found: dict[str, list[float]] = {name: [] for name in asked}
    # Round by round, and one for nothing: the broker has just taken all of it.
    for number in range(rounds + 1):
        for name, command in asked.items():
            seconds = _timed(site, wanted, command)
            if number:
                found[name].append(seconds)
    return _report(attempts, found, before)


def _timed(site: Site, wanted: Wanted, command: tuple[str, ...]) -> float:
    begun = time.monotonic()
    told = hooklane_ok(bench_environment(site), *command, "--output", "json")
    seconds = time.monotonic() - begun
    rows = json.loads(told)
    if command[0] == "trace":
        rows = [one for way in rows[0]["subscriptions"] for one in way["attempts"]]
    assert sum(row["event_id"] == wanted.event_id for row in rows) == wanted.attempts, told
    return seconds


def _publish(site: Site) -> Wanted:
    """The event itself, of the time of its attempts. A few others tell how keys are placed."""
    site.publish_numbers([f"k{number}" for number in range(200)])
    event_id, at_ms = str(uuid4()), time.time_ns() // 1_000_000 - _DAYS_MS * 19 // 30
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": "/s",
        "ce_type": "order.paid",
    }
    [(partition, offset)] = site.publish(
        [
            Outgoing(
                b"k7",
                b"{}",
                tuple((name, value.encode()) for name, value in headers.items()),
                timestamp_ms=at_ms,
            )
        ]
    )
    return Wanted(event_id, "k7", partition, offset, at_ms)


def _write(site: Site, made: "_Attempts", attempts: int) -> None:
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
    for number, record in enumerate(made.so_many(attempts)):
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
    if left:
        raise TimeoutError(f"{left} attempts were not acked within {_FLUSH_S:.0f} s")


class _Attempts:
    """Makes attempts of many subscriptions and keys, and those of `wanted` among them."""

    def __init__(self, site: Site, topic_id: str, wanted: Wanted) -> None:
        self._topic = site.events
        self._topic_id = topic_id
        self._wanted = wanted
        self._chosen = random.Random(8)
        self._namers = {
            (number, partition): LaneNamer(
                f"{site.prefix}-fanout", _subscription(number), f"u{number}", topic_id, partition
            )
            for number in range(SUBSCRIPTIONS)
            for partition in range(PARTITIONS)
        }

    def so_many(self, attempts: int) -> Iterator[DeliveryAttempt]:
        """One event in ten fails at first, and its second attempt follows."""
        first_ms = time.time_ns() // 1_000_000 - _DAYS_MS
        wanted = self._wanted
        written = 0
        for offset in count(1000):
            at_ms = first_ms + written * _DAYS_MS // attempts
            if written >= attempts:
                return
            if offset == 1000 + attempts // 3:
                key = wanted.key.encode()
                one = self._attempt(wanted.subscription, key, wanted.offset, at_ms)
                yield from _twice(replace(one, event_id=wanted.event_id))
                written += 2
            one = self._attempt(
                self._chosen.randrange(SUBSCRIPTIONS),
                b"k%d" % self._chosen.randrange(KEYS),
                offset,
                at_ms,
            )
            yield from _twice(one) if offset % 10 == 0 else (one,)
            written += 2 if offset % 10 == 0 else 1

    def _attempt(self, number: int, key: bytes, offset: int, at_ms: int) -> DeliveryAttempt:
        partition = (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
        namer = self._namers[number, partition]
        return DeliveryAttempt(
            lane=namer.lane(key),
            sequence=offset,
            webhook_id=namer.webhook_id(offset),
            subscription=_subscription(number),
            uid=f"u{number}",
            run="",
            topic=self._topic,
            topic_id=self._topic_id,
            partition=partition,
            key=key,
            event_id=str(UUID(int=self._chosen.getrandbits(128))),
            event_type="order.paid",
            attempt=1,
            service="fanout",
            started_ms=at_ms,
            duration_ms=self._chosen.random() * 200,
            outcome=AttemptOutcome.DELIVERED,
            reason="accepted",
            detail="the receiver answered 200 OK",
            status=200,
            address="203.0.113.7:443",
            response=_ANSWER,
            next_ms=None,
            trace_id=f"{self._chosen.getrandbits(128):032x}",
            response_headers=_HEADERS,
        )


def _twice(attempt: DeliveryAttempt) -> tuple[DeliveryAttempt, DeliveryAttempt]:
    """It failed, and came again."""
    later_ms = attempt.started_ms + 5_000
    again = replace(attempt, attempt=2, service="retrier", started_ms=later_ms)
    return _failed(attempt), again


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
