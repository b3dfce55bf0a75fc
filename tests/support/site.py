"""A Hooklane installation of one test: its topics on the shared broker, and what is in them."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hooklane.schemas.codec import (
    ATTEMPTS,
    DEAD_LETTERS,
    LANES,
    LETTER_MARKS,
    TASKS,
    TICKETS,
    Codec,
)
from hooklane.schemas.records import (
    DeadLetter,
    DeliveryAttempt,
    DeliveryTask,
    LaneRecord,
    RetryTicket,
)
from hooklane.schemas.topics import TopicNames
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, create_topic, produce, read_topic
from tests.support.processes import ServiceProcess, environment, hooklane_ok

R = TypeVar("R")

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Site:
    """Topics are made; `events` is the one event topic."""

    kafka: Kafka
    prefix: str
    events: str
    tiers: tuple[str, ...] = ()

    @property
    def names(self) -> TopicNames:
        return TopicNames(self.prefix)

    def environment(self, **more: str) -> dict[str, str]:
        told = {"FANOUT__TOPICS": json.dumps([self.events])}
        if self.tiers:
            told["RETRY__TIERS"] = json.dumps(self.tiers)
        return environment(self.kafka, self.prefix, **{**told, **more})

    def fanout(self, name: str = "one", **more: str) -> ServiceProcess:
        return ServiceProcess("fanout", self.environment(**more), name)

    def retrier(self, name: str = "one", **more: str) -> ServiceProcess:
        return ServiceProcess("retrier", self.environment(**more), name)

    def subscribe(self, name: str, url: str, **fields: object) -> None:
        """Write a document straight into the config topic, as any tool may."""
        document = {"id": name, "url": url, **fields}
        self.configure(name.encode(), json.dumps(document).encode())

    def subscribe_many(self, urls: Mapping[str, str]) -> None:
        """One document a name, all at once."""
        documents = {name: {"id": name, "url": url} for name, url in urls.items()}
        records = [
            Outgoing(name.encode(), json.dumps(document).encode(), partition=0)
            for name, document in documents.items()
        ]
        produce(self.kafka, self.names.subscriptions, records)

    def configure(self, key: bytes, value: bytes | None) -> None:
        produce(self.kafka, self.names.subscriptions, [Outgoing(key, value, partition=0)])

    def publish(self, records: Iterable[Outgoing]) -> list[tuple[int, int]]:
        """By a plain producer; gives partition and offset of each."""
        return produce(self.kafka, self.events, records)

    def publish_numbers(self, keys: Sequence[str], first: int = 0) -> list[tuple[int, int]]:
        """One small event a key, numbered."""
        return self.publish(
            Outgoing(key.encode(), b'{"n":%d}' % number) for number, key in enumerate(keys, first)
        )

    def tasks(self) -> dict[bytes, DeliveryTask]:
        """The backlog as compaction would leave it."""
        return self._latest(self.names.backlog, b"", TASKS)

    def lane_records(self, kind: str) -> dict[bytes, LaneRecord]:
        return self._latest(self.names.lanes, kind.encode(), LANES)

    def tickets(self, tier: str) -> list[RetryTicket]:
        return self._all(f"{self.prefix}.retry.{tier}", TICKETS)

    def attempts(self) -> list[DeliveryAttempt]:
        return self._all(self.names.attempts, ATTEMPTS)

    def dead_letters(self) -> list[DeadLetter]:
        """Without the marks of what became of them."""
        values = [one.value or b"" for one in read_topic(self.kafka, self.names.dead_letters)]
        return [DEAD_LETTERS.decode(one) for one in values if not LETTER_MARKS.wrote(one)]

    def _all(self, topic: str, codec: "Codec[R]") -> list[R]:
        return [codec.decode(one.value or b"") for one in read_topic(self.kafka, topic)]

    def _latest(self, topic: str, begin: bytes, codec: "Codec[R]") -> dict[bytes, R]:
        latest = {
            one.key: one.value
            for one in read_topic(self.kafka, topic)
            if one.key is not None and one.key.startswith(begin)
        }
        return {key: codec.decode(value) for key, value in latest.items() if value is not None}


def make_site(
    kafka: Kafka, prefix: str, partitions: int = PARTITIONS, tiers: tuple[str, ...] = ()
) -> Site:
    """An event topic and Hooklane's own topics, made by its own command."""
    site = Site(kafka, prefix, create_topic(kafka, f"{prefix}-events", partitions), tiers)
    hooklane_ok(site.environment(), "topics", "apply")
    return site
