"""The events of the benchmarks, and the topics that they go to."""

import json
import random
from collections.abc import Iterator

from confluent_kafka import Producer

from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic
from tests.support.processes import hooklane_ok
from tests.support.site import Site

PARTITIONS = 12
KEYS = 5_000
EVENT_BYTES = 300
_FLUSH_S = 60.0


def make_bench_site(kafka: Kafka, name: str) -> Site:
    """An event topic and Hooklane's own, all with 12 partitions."""
    site = Site(kafka, name, create_topic(kafka, f"{name}-events", PARTITIONS))
    hooklane_ok(bench_environment(site), "topics", "apply")
    return site


def bench_environment(site: Site, **more: str) -> dict[str, str]:
    """The tests' settings, and the default number of partitions."""
    return site.environment(**{"TOPICS__PARTITIONS": str(PARTITIONS), **more})


class Publisher:
    """A plain confluent_kafka producer, as an internal service may have one."""

    def __init__(self, kafka: Kafka) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
            }
        )

    def publish(self, topic: str, events: int, seed: int, keys: int = KEYS) -> None:
        """So many events with random keys, as fast as it goes; returns when all are acked."""
        for key, value in events_of(events, seed, keys):
            self._producer.produce(topic, value, key)
            self._producer.poll(0)
        left = self._producer.flush(_FLUSH_S)
        if left:
            raise TimeoutError(f"{left} events were not acked within {_FLUSH_S:.0f} s")


def events_of(count: int, seed: int, keys: int = KEYS) -> Iterator[tuple[bytes, bytes]]:
    """Keys are `k<number>`, as the sink knows them; values are JSON of 300 bytes."""
    chosen = random.Random(seed)
    for number in range(count):
        body = {
            "id": number,
            "customer": chosen.randrange(10**9),
            "status": "paid",
            "amount": chosen.randrange(100, 10**6) / 100,
            "currency": "EUR",
            "lines": [{"sku": f"A-{line}", "quantity": line} for line in range(1, 5)],
            "note": "",
        }
        missing = EVENT_BYTES - len(json.dumps(body))
        body["note"] = "x" * missing
        yield b"k%d" % chosen.randrange(keys), json.dumps(body).encode()
