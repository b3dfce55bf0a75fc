"""The config topic as a command uses it: read it to its end, write some records, wait for acks."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hooklane.ops.audit_write import audit_record
from hooklane.ops.embedded_broker import EmbeddedReader, is_embedded
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_properties import ClientKind, properties_for
from hooklane.runtime.kafka_settings import access_from, policy_from
from hooklane.runtime.settings import Settings
from hooklane.runtime.subscriptions import ConfigReader
from hooklane.runtime.subscriptions_reader import End, Line, Replaced, TopicReader
from hooklane.runtime.topic_words import missing_topic
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.records_operator import AuditRecord

TIMEOUT_S: Final = 30.0

Record: TypeAlias = tuple[bytes, bytes | None]
Acked: TypeAlias = Callable[[KafkaError | None, Message], None]

# librdkafka's own words about a broker that is away; the command says it in one sentence.
_log = logging.getLogger("librdkafka")


class ConfigTopic:
    """`<prefix>.subscriptions`, partition 0; and what was done with it, in the audit's."""

    def __init__(
        self,
        settings: Settings,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._access = access_from(settings)
        self._names = settings.topic_names
        self._topic = self._names.subscriptions
        self._servers = settings.kafka.bootstrap_servers
        self._properties = settings.kafka.properties
        self._policy = policy_from(settings)
        self._timeout_s = timeout_s

    def read(self) -> SubscriptionBook:
        """All that is there now.

        Raises:
            BrokerError: Kafka cannot be reached, or refuses, or a transaction stays open.
            TopicsError: the topic is missing.
        """
        reader = self._reader()
        try:
            reader.begin()
            return self._read(reader, reader.end())
        finally:
            reader.close()

    def _reader(self) -> ConfigReader:
        if is_embedded(self._access):
            return EmbeddedReader(self._access, self._topic)
        client = {**self._properties, "bootstrap.servers": self._servers}
        return TopicReader(client, self._topic)

    def _read(self, reader: ConfigReader, end: int) -> SubscriptionBook:
        book = SubscriptionBook(self._policy)
        deadline = time.monotonic() + self._timeout_s
        while book.position < end:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"{self._topic} could not be read to its end within {self._timeout_s:.0f} s:"
                    " see whether its broker is well and no transaction stays open on it."
                )
            match reader.poll(0.2):
                case Line(offset, key, value):
                    book.read(offset, key, value)
                case End(offset):
                    book.read_through(offset)
                case Replaced():
                    raise BrokerError(f"{self._topic} was made again while it was read: try again.")
                case None:
                    pass
        return book

    def write(self, records: Sequence[Record], audit: AuditRecord | None = None) -> None:
        """Produce the records in their order, behind the audit's, and wait until all are
        acknowledged.

        Raises:
            BrokerError: one was not; those before it are written.
            TopicsError: there is no audit topic.
        """
        producer = self._producer()
        if audit is not None:
            place = audit_record(audit, self._names)
            if place.topic not in producer.list_topics(timeout=self._timeout_s).topics:
                raise missing_topic(place.topic)
            self._write(producer, place.topic, [(place.key, place.value)])
        self._write(producer, self._topic, records)

    def _write(self, producer: Producer, topic: str, records: Sequence[Record]) -> None:
        failed: list[KafkaError] = []
        left = len(records)

        def acked(error: KafkaError | None, _message: Message) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                failed.append(error)

        for key, value in records:
            while not self._sent(producer, topic, key, value, acked):
                producer.poll(0.1)
        producer.flush(self._timeout_s + 5)
        if failed or left:
            said = failed[0].str() if failed else "no answer in time"
            raise BrokerError(
                f"Kafka at {self._servers} did not acknowledge every record ({said}):"
                " see what is written by `hooklane subscriptions list`, and try again."
            )

    def _producer(self) -> Producer:
        config = {
            **properties_for(ClientKind.PRODUCER, self._properties),
            "bootstrap.servers": self._servers,
            "acks": "all",
            # In order without idempotence, whose producer id costs half a second at the start. A
            # retry may write a record twice: the second says the same.
            "enable.idempotence": False,
            "max.in.flight.requests.per.connection": 1,
            "message.timeout.ms": int(self._timeout_s * 1000),
        }
        return Producer(config, logger=_log)

    def _sent(
        self, producer: Producer, topic: str, key: bytes, value: bytes | None, acked: Acked
    ) -> bool:
        """Whether the producer took the record; false while its queue is full."""
        try:
            producer.produce(topic, value, key, partition=0, on_delivery=acked)
        except BufferError:
            return False
        except KafkaException as error:
            raise BrokerError(f"Kafka takes no such record: {error.args[0].str()}.") from error
        return True
