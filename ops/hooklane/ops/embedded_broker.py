"""The broker that is inside librdkafka: enough of Kafka to look at it work, and no more.

It is made for librdkafka's own tests: one process, in memory, nothing survives its end. It makes
topics of four partitions by itself when they are asked for, and answers transactions; but it hides
no aborted records, forgets offsets that were committed in a transaction, and cannot tell topic ids
or topic settings. What the services ask of it beyond that is answered here.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from hooklane.runtime import kafka
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition
from hooklane.runtime.kafka_clients import open_admin, open_consumer, open_producer
from hooklane.runtime.subscriptions_reader import End, Line

PARTITIONS = 4
"""Of every topic that the embedded broker makes."""
LARGEST_RECORD = 900_000
"""Bytes; the broker keeps about 5 MB a partition."""

_ANSWER_S = 5.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1"})
_KEEPS_TOMBSTONES_MS = "86400000"


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[str]:
    """Run the broker while this is open; gives its `host:port`, on loopback.

    To be left last: no thread of the event loop's pool can be had afterwards.

    Raises:
        BrokerError: it does not start.
    """
    # The broker lives inside of this client, and ends with it; the address is not looked at.
    client = open_producer({"test.mock.num.brokers": "1", "bootstrap.servers": "embedded:9092"})
    try:
        brokers = client.list_topics(timeout=_ANSWER_S).brokers.values()
        address = next(f"{one.host}:{one.port}" for one in brokers)
    except (KafkaException, StopIteration) as error:
        raise BrokerError(
            "The broker inside librdkafka did not start: see whether connections to 127.0.0.1 are "
            "allowed here."
        ) from error
    try:
        yield address
    finally:
        # What a cancelled task has left in a thread asks the broker, and would wait in vain.
        await asyncio.get_running_loop().shutdown_default_executor()
        client.close()


def is_embedded(access: KafkaAccess) -> bool:
    """Whether that broker is this one, in whatever process. Blocks; only loopback is asked.

    Raises:
        SettingsError: a property is unknown or wrong.
    """
    if access.bootstrap_servers.rpartition(":")[0] not in _LOOPBACK:
        return False
    try:
        cluster = open_admin(kafka.admin(access)).list_topics(timeout=_ANSWER_S).cluster_id
    except KafkaException:
        # Who asks next says what ails it.
        return False
    return str(cluster).startswith("mockCluster")


def make_topics(access: KafkaAccess, names: Iterable[str]) -> None:
    """To ask for a topic makes it. Blocks.

    Raises:
        BrokerError: the broker does not answer.
    """
    client = open_producer(kafka.plain_producer(access))
    try:
        for name in names:
            client.list_topics(name, _ANSWER_S)
    except KafkaException as error:
        raise BrokerError(f"The embedded broker makes no topics: {error.args[0].str()}.") from error
    finally:
        client.close()


def write_documents(
    access: KafkaAccess, topic: str, documents: Sequence[tuple[str, bytes]]
) -> None:
    """Put subscriptions, by id, on the config topic. Blocks until they are there.

    Raises:
        BrokerError: the broker did not take them.
    """
    client = open_producer(kafka.plain_producer(access))
    taken: list[Message] = []

    def answered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            taken.append(message)

    for name, document in documents:
        client.produce(topic, document, name.encode(), partition=0, on_delivery=answered)
    client.flush(_ANSWER_S)
    client.close()
    if len(taken) < len(documents):
        raise BrokerError("The embedded broker did not take the subscriptions in time.")


class EmbeddedAdmin(KafkaAdmin):
    """Kafka's answers, and ours to what the embedded broker does not understand."""

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """A topic is never made again here, so that its name is as good as an id."""
        return {name: hashlib.blake2b(name.encode(), digest_size=16).hexdigest() for name in names}

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """Nothing is ever compacted here; these are Kafka's defaults."""
        return {name: {"delete.retention.ms": _KEEPS_TOMBSTONES_MS} for name in names}

    def committed_offsets(
        self,
        group_id: str,  # noqa: ARG002 - it is asked as Kafka is
        partitions: Sequence[Partition],
    ) -> dict[Partition, int | None]:
        """None: what a transaction commits is not kept."""
        return dict.fromkeys(partitions)


class EmbeddedReader:
    """The config topic by one plain consumer (`ConfigReader` of runtime.subscriptions)."""

    def __init__(self, access: KafkaAccess, topic: str) -> None:
        self._access = access
        self._place = TopicPartition(topic, 0, OFFSET_BEGINNING)
        self._consumer: Consumer | None = None

    def begin(self) -> None:
        """Start over at the first record."""
        self.close()
        self._consumer = open_consumer(kafka.internal_consumer(self._access))
        self._consumer.assign([self._place])

    def end(self) -> int:
        """The offset after the last record.

        Raises:
            BrokerError: the broker does not answer.
        """
        try:
            return self._open().get_watermark_offsets(self._place, timeout=_ANSWER_S)[1]
        except (KafkaException, TypeError) as error:
            raise BrokerError("The embedded broker does not answer.") from error

    def poll(self, timeout_s: float) -> Line | End | None:
        """What comes next; None if nothing does in that time."""
        message = self._open().poll(timeout_s)
        offset = None if message is None else message.offset()
        if message is None or offset is None:
            return None
        error = message.error()
        if error is None:
            return Line(offset, message.key(), message.value())
        is_end = error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own name
        return End(offset) if is_end else None

    def is_replaced(self) -> bool:
        """Nobody makes topics anew here."""
        return False

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _open(self) -> Consumer:
        if self._consumer is None:
            self.begin()
        assert self._consumer is not None  # noqa: S101 - `begin` has made it
        return self._consumer
