"""What the retrier asks of Kafka: where to begin, how far to read, which lanes are blocked."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from confluent_kafka import Consumer

from hooklane.retrier.blocked_lanes import Watermarks, read_blocked_lanes
from hooklane.retrier.restore import BacklogFacts
from hooklane.runtime.errors import TopicsError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord
from hooklane.schemas.topics import TopicNames


class Admin(Watermarks, Protocol):
    """The part of KafkaAdmin that is asked here."""

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]: ...
    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]: ...
    def first_offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...
    def committed_offsets(
        self, group_id: str, partitions: Sequence[Partition]
    ) -> dict[Partition, int | None]: ...


class KafkaBacklog:
    """Blocking questions, each in a thread. Every method raises BrokerError without an answer.

    `open_reader` opens a consumer for the lanes topic.
    """

    def __init__(
        self,
        open_reader: Callable[[], Consumer],
        admin: Admin,
        group: str,
        names: TopicNames,
        partitions: int,
    ) -> None:
        self._open_reader = open_reader
        self._group = group
        self._admin = admin
        self._names = names
        self._partitions = partitions

    async def facts(self, places: Sequence[Assigned]) -> dict[Assigned, BacklogFacts]:
        """What decides whether a checkpoint is usable."""
        return await asyncio.to_thread(self._facts, places)

    async def high_watermarks(self, places: Iterable[Assigned]) -> dict[Assigned, int]:
        wanted = [Partition(*place) for place in places]
        found = await asyncio.to_thread(self._admin.high_watermarks, wanted)
        return {Assigned(*place): offset for place, offset in found.items()}

    async def predecessors_ended(self, places: Sequence[Assigned]) -> None:
        """Returns when no transaction of an earlier owner can be committed any more: a committed
        offset is told only then, and whoever was cut off is refused another (runtime.transactions).
        """
        wanted = [Partition(*place) for place in places]
        await asyncio.to_thread(self._admin.committed_offsets, self._group, wanted)

    async def blocked_lanes(self) -> dict[LaneId, LaneRecord]:
        return await asyncio.to_thread(self._blocked_lanes)

    def _facts(self, places: Sequence[Assigned]) -> dict[Assigned, BacklogFacts]:
        topic = self._names.backlog
        topic_id = self._admin.topic_ids([topic]).get(topic)
        if topic_id is None:
            raise TopicsError(f"The topic {topic} is missing: run `hooklane topics apply`.")
        keeps_ms = int(self._admin.configs([topic])[topic]["delete.retention.ms"])
        wanted = [Partition(*place) for place in places]
        first, end = self._admin.first_offsets(wanted), self._admin.high_watermarks(wanted)
        return {
            Assigned(*place): BacklogFacts(topic_id, first[place], end[place], keeps_ms)
            for place in wanted
        }

    def _blocked_lanes(self) -> dict[LaneId, LaneRecord]:
        consumer = self._open_reader()
        try:
            return read_blocked_lanes(consumer, self._admin, self._names.lanes, self._partitions)
        finally:
            consumer.close()
