"""How fast events are published: `EventPublisher` beside `confluent_kafka.Producer` by hand.

All of them in turn in one process, with the publisher's own client properties, on a real broker;
ratios are taken within a round.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from uuid import uuid4

import orjson
from confluent_kafka import KafkaError, Message, Producer

from bench.machine import load_average
from bench.tables import Report, Table
from hooklane.producer import AsyncEventPublisher, EventPublisher, NewEvent
from hooklane.producer.configuration import publisher_properties
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic

_PARTITIONS = 6
_AT_ONCE = 1000
"""Tasks of asyncio side by side."""
_FLUSH_S = 60.0
_WARM_UP = 2000
_DATA = {
    "invoice": "in-4711",
    "customer": "c-42",
    "amount": 120.5,
    "currency": "EUR",
    "paid": True,
    "lines": [{"sku": "a-1", "quantity": 2}, {"sku": "b-2", "quantity": 1}],
}
_KEYS = [f"c-{number}" for number in range(1000)]
_KEY_BYTES = [key.encode() for key in _KEYS]

Headers = list[tuple[str, str | bytes | None]]


@dataclass(frozen=True, slots=True)
class Run:
    """Microseconds an event: until Kafka has answered for all, and CPU time of the caller's
    thread."""

    wall_us: float
    thread_us: float


class ByHand:
    """A producer with what a careful user writes around it: a callback that keeps failures, a
    `poll` after each `produce`, a full queue that is waited for."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.topic = topic
        self.failed: list[KafkaError] = []
        given = {"bootstrap.servers": kafka.bootstrap_servers}
        self.producer = Producer(publisher_properties(given))

    def reported(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self.failed.append(error)

    def send(self, value: bytes, key: bytes, headers: Headers) -> None:
        while True:
            try:
                self.producer.produce(
                    self.topic, value, key, headers=headers, on_delivery=self.reported
                )
            except BufferError:
                self.producer.poll(0.05)
            else:
                self.producer.poll(0)
                return

    def end(self) -> None:
        if self.producer.flush(_FLUSH_S) or self.failed:
            raise AssertionError(f"not everything was published: {self.failed[:1]}")


def _headers() -> Headers:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid4()).encode()),
        ("ce_source", b"/billing"),
        ("ce_type", b"invoice.paid"),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", b"application/json"),
    ]


def _ready(hand: ByHand, events: int) -> None:
    """Nothing is made an event: the same bytes, id and time each time."""
    value, headers = json.dumps(_DATA).encode(), _headers()
    for number in range(events):
        hand.send(value, _KEY_BYTES[number % 1000], headers)


def _same_headers(hand: ByHand, events: int) -> None:
    """JSON an event; the id and the time are the same each time, so that it is no CloudEvent."""
    headers = _headers()
    for number in range(events):
        hand.send(json.dumps(_DATA).encode(), _KEYS[number % 1000].encode(), headers)


def _careful(hand: ByHand, events: int) -> None:
    """What the publisher does: JSON, an id, a time."""
    for number in range(events):
        hand.send(json.dumps(_DATA).encode(), _KEYS[number % 1000].encode(), _headers())


def _careful_orjson(hand: ByHand, events: int) -> None:
    """The same by orjson."""
    for number in range(events):
        hand.send(orjson.dumps(_DATA), _KEYS[number % 1000].encode(), _headers())


def _event(number: int) -> NewEvent:
    return NewEvent(type="invoice.paid", key=_KEYS[number % 1000], data=_DATA)


HAND: dict[str, Callable[[ByHand, int], None]] = {
    "produce, bytes that are ready": _ready,
    "produce, json.dumps": _same_headers,
    "produce, orjson, id and time": _careful_orjson,
    "produce, json.dumps, id and time": _careful,
}
SUBMIT = "EventPublisher.submit"
FUTURES = "produce and a future each, json.dumps, id and time"
ASYNC = "AsyncEventPublisher.publish"


def measure_publish(kafka: Kafka, events: int, rounds: int) -> Report:
    """So many events by each, so many times."""
    topic = create_topic(kafka, f"publish-{uuid4().hex[:6]}", partitions=_PARTITIONS)
    before = load_average()
    runs: dict[str, list[Run]] = {name: [] for name in (*HAND, SUBMIT, FUTURES, ASYNC)}
    for _ in range(rounds):
        for name, send in HAND.items():
            runs[name].append(_by_hand(kafka, topic, send, events))
        runs[SUBMIT].append(_submitted(kafka, topic, events))
        runs[FUTURES].append(asyncio.run(_futures(kafka, topic, events)))
        runs[ASYNC].append(asyncio.run(_published(kafka, topic, events)))
    return _report(runs, events, before)


@contextmanager
def _timed(found: list[Run], events: int) -> Iterator[None]:
    wall, thread = time.perf_counter(), time.thread_time()
    yield
    wall, thread = time.perf_counter() - wall, time.thread_time() - thread
    found.append(Run(wall / events * 1e6, thread / events * 1e6))


def _by_hand(kafka: Kafka, topic: str, send: Callable[[ByHand, int], None], events: int) -> Run:
    hand, found = ByHand(kafka, topic), list[Run]()
    send(hand, _WARM_UP)
    hand.end()
    with _timed(found, events):
        send(hand, events)
        hand.end()
    return found[0]


def _submitted(kafka: Kafka, topic: str, events: int) -> Run:
    found: list[Run] = []
    given = {"bootstrap.servers": kafka.bootstrap_servers}
    with EventPublisher(given, source="/billing") as publisher:
        for count in (_WARM_UP, events):
            with _timed(found, count):
                for number in range(count):
                    publisher.submit(topic, _event(number))
                publisher.flush(_FLUSH_S)
    return found[1]


async def _published(kafka: Kafka, topic: str, events: int) -> Run:
    found: list[Run] = []
    given = {"bootstrap.servers": kafka.bootstrap_servers}
    async with AsyncEventPublisher(given, source="/billing") as publisher:
        for count in (_WARM_UP, events):
            with _timed(found, count):
                for start in range(0, count, _AT_ONCE):
                    numbers = range(start, min(start + _AT_ONCE, count))
                    await asyncio.gather(*(publisher.publish(topic, _event(n)) for n in numbers))
    return found[1]


async def _futures(kafka: Kafka, topic: str, events: int) -> Run:
    """As one writes it for asyncio: a thread that polls, and a future for each event."""
    hand, found = ByHand(kafka, topic), list[Run]()
    loop, ended = asyncio.get_running_loop(), threading.Event()

    def serve() -> None:
        while not ended.is_set():
            hand.producer.poll(0.05)

    async def publish(number: int) -> None:
        future: asyncio.Future[None] = loop.create_future()

        def reported(error: KafkaError | None, _message: Message) -> None:
            hand.reported(error, _message)
            loop.call_soon_threadsafe(future.set_result, None)

        value, key = json.dumps(_DATA).encode(), _KEYS[number % 1000].encode()
        hand.producer.produce(topic, value, key, headers=_headers(), on_delivery=reported)
        await future

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for count in (_WARM_UP, events):
            with _timed(found, count):
                for start in range(0, count, _AT_ONCE):
                    numbers = range(start, min(start + _AT_ONCE, count))
                    await asyncio.gather(*(publish(number) for number in numbers))
    finally:
        ended.set()
        thread.join()
    hand.end()
    return found[1]


def _report(runs: dict[str, list[Run]], events: int, before: float) -> Report:
    rows = []
    for name, found in runs.items():
        ours = runs[SUBMIT if name in HAND else ASYNC]
        ratios = [theirs.wall_us / own.wall_us for theirs, own in zip(found, ours, strict=True)]
        shown = "" if name in (SUBMIT, ASYNC) else f"{median(ratios):.2f}"
        wall = median(one.wall_us for one in found)
        thread = median(one.thread_us for one in found)
        rows.append((name, f"{1e6 / wall:,.0f}", f"{wall:.2f}", f"{thread:.2f}", shown))
    table = Table(
        f"Publishing, {events} events of {len(json.dumps(_DATA))} bytes of JSON, medians",
        ("", "events/s", "us each", "CPU us, caller", "ours by this"),
        rows,
        (
            "The last column: the publisher's speed by that of the line, within a round.",
            f"Load average of the last minute: {before:.1f}, at the end {load_average():.1f}.",
        ),
    )
    values = {
        name: [{"wall_us": one.wall_us, "thread_us": one.thread_us} for one in found]
        for name, found in runs.items()
    }
    return Report([table], values)
