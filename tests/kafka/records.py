"""What tests do with topics, by plain confluent_kafka and nothing of Hooklane."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast
from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from tests.kafka.broker import Kafka

_TIMEOUT_S = 30.0

# librdkafka says on stderr what brokers that are killed on purpose make it notice.
quiet = logging.getLogger("tests.kafka.client")
quiet.addHandler(logging.NullHandler())
quiet.propagate = False

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to produce. Without a partition the client's partitioner chooses by the key."""

    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as a topic has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def admin_of(kafka: Kafka) -> AdminClient:
    """A quiet AdminClient. Keep it in a name until its futures are done: they die with it."""
    return AdminClient(
        {"bootstrap.servers": kafka.bootstrap_servers, "reconnect.backoff.max.ms": 500},
        logger=quiet,
    )


def create_topic(
    kafka: Kafka,
    name: str,
    partitions: int = 1,
    config: Mapping[str, str] | None = None,
    replicas: int = -1,
) -> str:
    """Make a topic, wait until clients see its leaders, and return its name."""
    admin = admin_of(kafka)
    new = NewTopic(name, partitions, replicas, config=dict(config or {}))
    admin.create_topics([new])[name].result(_TIMEOUT_S)
    deadline = time.monotonic() + _TIMEOUT_S
    while not _led(admin, name, partitions):
        if time.monotonic() > deadline:
            raise TimeoutError(f"topic {name} has no leaders after {_TIMEOUT_S:.0f} s")
        time.sleep(0.01)
    return name


def set_topic(kafka: Kafka, topic: str, name: str, value: str) -> None:
    """Change one setting of a topic that is there."""
    _set(kafka, ResourceType.TOPIC, topic, name, value)


def set_broker(kafka: Kafka, node: int, name: str, value: str) -> None:
    """Change one setting of a running broker."""
    _set(kafka, ResourceType.BROKER, str(node), name, value)


def produce(kafka: Kafka, topic: str, records: Iterable[Outgoing]) -> list[tuple[int, int]]:
    """Produce records, wait for every ack, and return (partition, offset) in the same order."""
    producer = _producer(kafka)
    acks: list[tuple[int, int] | KafkaError | None] = []
    try:
        for place, record in enumerate(records):
            acks.append(None)
            _send(producer, topic, record, acks, place)
            producer.poll(0)
        producer.flush(_TIMEOUT_S)
        return [_acked(ack) for ack in acks]
    except BaseException:
        # What it still holds, or a sequence that it lost, must not reach the next test.
        forget_producers()
        raise


def forget_producers() -> None:
    """The next record goes by a new producer: after an unclean election, for example, a broker
    does not know the numbers that an idempotent one goes on from."""
    _producer.cache_clear()


@cache
def _producer(kafka: Kafka) -> Producer:
    """Kept for the whole run: a new idempotent producer takes half a second to its first ack."""
    config = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "enable.idempotence": True,
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "topic.metadata.propagation.max.ms": 5_000,
        # The topic's own limit is what counts.
        "message.max.bytes": 64 * 2**20,
    }
    return Producer(config, logger=quiet)


def read_topic(kafka: Kafka, topic: str) -> list[Stored]:
    """Every committed record from the start to the end, by partition, then by offset.

    An open transaction is an end, as for any reader of committed records.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": f"test-reader-{uuid4()}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        },
        logger=quiet,
    )
    try:
        found = consumer.list_topics(topic, _TIMEOUT_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in found])
        records = _read_to_ends(consumer, set(found))
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _set(kafka: Kafka, kind: ResourceType, of: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(kind, of, incremental_configs=[entry])
    admin = admin_of(kafka)
    admin.incremental_alter_configs([resource])[resource].result(_TIMEOUT_S)


def _led(admin: AdminClient, name: str, partitions: int) -> bool:
    seen = admin.list_topics(name, _TIMEOUT_S).topics[name].partitions
    return len(seen) == partitions and all(one.leader >= 0 for one in seen.values())


def _send(
    producer: Producer,
    topic: str,
    record: Outgoing,
    acks: list[tuple[int, int] | KafkaError | None],
    place: int,
) -> None:
    def acked(error: KafkaError | None, message: Message) -> None:
        acks[place] = error or (message.partition() or 0, message.offset() or 0)

    while True:
        try:
            producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=-1 if record.partition is None else record.partition,
                timestamp=record.timestamp_ms or 0,
                on_delivery=acked,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            return


def _acked(ack: tuple[int, int] | KafkaError | None) -> tuple[int, int]:
    if ack is None:
        raise TimeoutError(f"a record was not acknowledged within {_TIMEOUT_S:.0f} s")
    if isinstance(ack, KafkaError):
        raise KafkaException(ack)
    return ack


def _read_to_ends(consumer: Consumer, unread: set[int]) -> list[Stored]:
    records: list[Stored] = []
    deadline = time.monotonic() + _TIMEOUT_S
    while unread:
        if time.monotonic() > deadline:
            raise TimeoutError(f"partitions {sorted(unread)} were not read to their end")
        for message in consumer.consume(500, 0.2):
            error = message.error()
            if error is None:
                records.append(_stored(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(_known(message.partition()))
            elif not error.retriable():
                raise KafkaException(error)
    return records


def _stored(message: Message) -> Stored:
    return Stored(
        topic=_known(message.topic()),
        partition=_known(message.partition()),
        offset=_known(message.offset()),
        timestamp_ms=message.timestamp()[1],
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        # Always pairs; confluent-kafka's types also name the mapping that `produce` takes.
        headers=tuple(cast("list[tuple[str, bytes | None]]", message.headers() or [])),
    )


T = TypeVar("T")


def _known(value: T | None) -> T:
    assert value is not None
    return value


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
