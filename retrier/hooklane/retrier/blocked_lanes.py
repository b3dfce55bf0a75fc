"""Reads the lanes topic once: which lanes are blocked. For a spool that is made anew."""

import time
from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.codec import LANES, CodecError
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord
from hooklane.schemas.topics import LaneKey, split_lane_key

_BATCH = 1000
_QUIET_S = 30.0


class Watermarks(Protocol):
    """Who knows where partitions end."""

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...


def read_blocked_lanes(
    consumer: Consumer, admin: Watermarks, topic: str, partitions: int
) -> dict[LaneId, LaneRecord]:
    """The `blocked` records in force, by lane. Blocks until the high watermarks are reached.

    Raises:
        BrokerError: Kafka does not answer.
    """
    places = [Partition(topic, number) for number in range(partitions)]
    left = {place.number for place, end in admin.high_watermarks(places).items() if end > 0}
    blocked: dict[LaneId, LaneRecord] = {}
    consumer.list_topics(topic, 5.0)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
    heard = time.monotonic()
    while left:
        for message in consumer.consume(_BATCH, 0.1):
            heard = time.monotonic()
            error = message.error()
            if error is None:
                _apply(blocked, message.key(), message.value())
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                left.discard(message.partition() or 0)
        if time.monotonic() - heard > _QUIET_S:
            raise BrokerError(f"The topic {topic} could not be read to its end: check the brokers.")
    return blocked


def _apply(blocked: dict[LaneId, LaneRecord], key: bytes | None, value: bytes | None) -> None:
    split = None if key is None else split_lane_key(key)
    if split is None or split[0] is not LaneKey.BLOCKED:
        return
    lane = LaneId(split[1])
    if value is None:
        blocked.pop(lane, None)
        return
    try:
        blocked[lane] = LANES.decode(value)
    except CodecError:
        # A newer version's: it will release its lane itself.
        blocked.pop(lane, None)
