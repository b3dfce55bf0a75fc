"""A steady flow of small events to a subscriber that is well, and how long each was under way."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import quantiles
from types import TracebackType
from typing import Self

from confluent_kafka import Producer

from bench.sinks import NotingSink
from tests.kafka.broker import Kafka

PER_SECOND = 200
_KEYS = 1_000
_FLUSH_S = 30.0


@dataclass(frozen=True, slots=True)
class Latency:
    """From `produce()` to the arrival: milliseconds, and how many events that says."""

    p50: float
    p99: float
    events: int


class SteadyFlow:
    """200 events a second from `with` to its end. Each entry is a phase of its own."""

    def __init__(self, kafka: Kafka, topic: str, sink: NotingSink) -> None:
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
        self._producer.list_topics(topic, timeout=10)
        self._topic = topic
        self._sink = sink
        self._published = 0

    def __enter__(self) -> Self:
        self._first = self._published
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._producer.flush(_FLUSH_S)

    def latency(self, seconds: float) -> Latency:
        """Of the last phase, once all of it has arrived, which it has to within `seconds`.

        Raises:
            AssertionError: not every event arrived exactly once.
        """
        deadline = time.monotonic() + seconds
        while self._sink.count() < self._published and time.monotonic() < deadline:
            time.sleep(0.02)
        arrivals = self._sink.arrivals()
        took: Mapping[int, float] = {
            one.number: (one.arrived_ns - one.sent_ns) / 1e6 for one in arrivals
        }
        missing = self._published - len(took)
        if missing or len(arrivals) != self._published:
            twice = len(arrivals) - len(took)
            raise AssertionError(f"of the steady flow {missing} are missing, {twice} came twice")
        own = [took[number] for number in range(self._first, self._published)]
        cuts = quantiles(own, n=100, method="inclusive")
        return Latency(cuts[49], cuts[98], len(own))

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            due += 1 / PER_SECOND
            while (left := due - time.monotonic()) > 0:
                self._producer.poll(left)
            number = self._published
            body = json.dumps({"n": number, "sent_ns": time.monotonic_ns()}).encode()
            self._producer.produce(self._topic, body, b"k%d" % (number % _KEYS))
            self._published += 1
