"""What a group's member says to librdkafka's consumer, and what it has to know of its ways."""

import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

_GENERATION: Final = struct.Struct("=7si")
_WAKE_S: Final = 0.01
_KNOWN_S: Final = 0.5


class Assigned(NamedTuple):
    """A partition by the name that the group knows it by."""

    topic: str
    partition: int


def places_of(partitions: Iterable[TopicPartition]) -> list[Assigned]:
    return [Assigned(one.topic, one.partition) for one in partitions]


def named(partitions: Sequence[Assigned]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in partitions]


def at(place: Assigned, offset: int | None) -> TopicPartition:
    """To begin there; None: at what the group has committed."""
    return TopicPartition(*place) if offset is None else TopicPartition(*place, offset)


def generation(metadata: bytes) -> int:
    """The generation in librdkafka's opaque group metadata: after a marker, an int32.

    Raises:
        ValueError: the marker is not the one known; better to stop than to commit unfenced.
    """
    if len(metadata) < _GENERATION.size:
        raise ValueError(f"unknown group metadata {metadata!r}: too short")
    marker, number = _GENERATION.unpack_from(metadata)
    if marker != b"CGMDv2:":
        raise ValueError(f"unknown group metadata {metadata[:7]!r} from this librdkafka")
    return int(number)


def wake(consumer: Consumer, partitions: Iterable[Assigned]) -> None:
    """librdkafka's thread of a broker that has nothing to fetch looks again after a second, and
    a resumed partition does not wake it; a request to that broker does. Its answer, which may
    have to wait behind a fetch, is not waited for."""
    for place in partitions:
        with suppress(KafkaException):
            consumer.get_watermark_offsets(TopicPartition(*place), timeout=_WAKE_S)


def make_known(consumer: Consumer, topics: Iterable[str]) -> None:
    """librdkafka looks after topics that nobody has subscribed to once a second: a partition
    whose leader it does not know yet would wait for that.

    Not to be called from a callback: what fails there takes the consumer down.
    """
    with suppress(KafkaException):
        for topic in topics:
            consumer.list_topics(topic, _KNOWN_S)
