"""Reads the config topic from its beginning: records, its present end, and that it was replaced."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from hooklane.runtime.errors import BrokerError, TopicsError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition
from hooklane.runtime.kafka_clients import open_consumer
from hooklane.runtime.kafka_properties import CONSUMER_ONLY, PRODUCER_ONLY, as_text

ClientProperties = Mapping[str, str | int | float | bool]

_REQUEST_S: Final = 3.0
_OVERRIDES: Final[Mapping[str, str]] = {
    # No group is ever joined and nothing is committed: the client only asks for a name.
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
    # An offset that is gone must be told, not jumped over.
    "auto.offset.reset": "error",
}
_MISSING: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own codes begin so
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    }
)
_CUT: Final = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}  # noqa: SLF001
)
_REFUSED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One record."""

    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class End:
    """Everything below `offset` has been read."""

    offset: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """The topic was truncated, or made again: what was read of it no longer counts."""


class TopicReader:
    """Partition 0 of the config topic. For one thread; every call blocks for a bounded time."""

    def __init__(self, client: ClientProperties, topic: str) -> None:
        self._topic = topic
        self._client = dict(client)
        self._consumer: Consumer | None = None
        self._admin: KafkaAdmin | None = None
        self._topic_id = ""

    def begin(self) -> None:
        """Start over at the first record.

        Raises:
            TopicsError: the topic is not there.
            BrokerError: Kafka does not answer, or refuses.
            SettingsError: librdkafka does not take a property.
        """
        self._close_consumer()
        self._topic_id = self._ask_topic_id()
        given = _without(PRODUCER_ONLY, self._client)
        config = {**given, **_OVERRIDES, "group.id": f"{self._topic}.reader"}
        # A new client each time: an old one may remember the epochs of a topic that is gone.
        self._consumer = open_consumer(config)
        # A topic whose leaders are known is fetched at once; else librdkafka takes half a second.
        with suppress(KafkaException):
            self._consumer.list_topics(self._topic, _REQUEST_S)
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])

    def end(self) -> int:
        """The high watermark: beyond everything that is written, committed or not.

        Raises:
            BrokerError: Kafka does not answer, or refuses.
        """
        place = Partition(self._topic, 0)
        return self._ask().high_watermarks([place])[place]

    def poll(self, timeout_s: float) -> Line | End | Replaced | None:
        """The next thing that is to be known, or None where there was nothing in that time.

        Raises:
            BrokerError: Kafka refuses to let it be read; a later call may be better off.
        """
        if self._consumer is None:
            time.sleep(timeout_s)
            return None
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        error, offset = message.error(), message.offset()
        if error is None and offset is not None:
            return Line(offset, _bytes(message.key()), _bytes(message.value()))
        if error is not None and error.code() == KafkaError._PARTITION_EOF and offset is not None:  # noqa: SLF001
            return End(offset)
        if error is not None and error.code() in _CUT | _MISSING:
            return Replaced()
        if error is not None and error.code() in _REFUSED:
            raise self._refused(error)
        # The broker is away: the client comes back by itself.
        return None

    def is_replaced(self) -> bool:
        """Whether another topic has taken the name. False while nobody can say."""
        try:
            return self._ask_topic_id() != self._topic_id
        except TopicsError:
            return True
        except BrokerError:
            return False

    def close(self) -> None:
        self._close_consumer()
        self._admin = None

    def _close_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _ask(self) -> KafkaAdmin:
        if self._admin is None:
            servers = str(self._client.get("bootstrap.servers", ""))
            own = frozenset(_OVERRIDES) | {"group.id", "bootstrap.servers"}
            given = _without(CONSUMER_ONLY | PRODUCER_ONLY | own, self._client)
            self._admin = KafkaAdmin(KafkaAccess(servers, given), _REQUEST_S)
        return self._admin

    def _ask_topic_id(self) -> str:
        found = self._ask().topic_ids([self._topic]).get(self._topic)
        if found is None:
            raise TopicsError(
                f"The topic {self._topic} is not there: create it by `hooklane topics apply`."
            )
        return found

    def _refused(self, error: KafkaError) -> BrokerError:
        return BrokerError(
            f"Kafka refuses to let {self._topic} be read ({error.str()}): see to the "
            "credentials in HOOKLANE_KAFKA__PROPERTIES and to the rights of their user."
        )


def _without(names: frozenset[str], given: ClientProperties) -> dict[str, str]:
    """Those that apply to the client: librdkafka warns of the others each time."""
    return {name: as_text(value) for name, value in given.items() if name not in names}


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
