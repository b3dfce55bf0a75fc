"""What the fan-out asks of Kafka about event topics and the lanes topic."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from hooklane.fanout.ownership import Offsets
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.kafka_admin import Partition


class Admin(Protocol):
    """The part of KafkaAdmin that is asked here."""

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]: ...
    def first_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...
    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...
    def committed_offsets(
        self, group_id: str, partitions: Sequence[Partition]
    ) -> dict[Partition, int | None]: ...


class KafkaEventTopics:
    """Blocking questions, each in a thread of its own."""

    def __init__(self, admin: Admin, group: str, lanes_topic: str) -> None:
        self._admin = admin
        self._group = group
        self._lanes_topic = lanes_topic

    async def topic_id(self, topic: str) -> str:
        """The topic's id, 32 hex digits.

        Raises:
            BrokerError: no answer, or the topic has gone.
        """
        found = await asyncio.to_thread(self._admin.topic_ids, [topic])
        if topic not in found:
            raise BrokerError(f"The event topic {topic} does not exist any more.")
        return found[topic]

    async def offsets(self, partition: Assigned) -> Offsets:
        """Where the partition stands; the committed offset is asked for first.

        Raises:
            BrokerError: no answer.
        """
        return await asyncio.to_thread(self._offsets, partition)

    async def lanes_high_watermark(self, partition: int) -> int:
        """Rule 5: with what is still in open transactions.

        Raises:
            BrokerError: no answer.
        """
        place = Partition(self._lanes_topic, partition)
        return (await asyncio.to_thread(self._admin.high_watermarks, [place]))[place]

    def _offsets(self, partition: Assigned) -> Offsets:
        place = Partition(*partition)
        return Offsets(
            committed=self._admin.committed_offsets(self._group, [place])[place],
            earliest=self._admin.first_offsets([place])[place],
            end=self._admin.high_watermarks([place])[place],
        )
