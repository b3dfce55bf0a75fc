"""The fan-out's Kafka clients: one consumer in the group, one of the lanes, one producer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import structlog
from confluent_kafka import Consumer

from hooklane.fanout.commit import Write
from hooklane.fanout.delivery import Place
from hooklane.fanout.event_topics import Admin, KafkaEventTopics
from hooklane.fanout.ownership import Restorer
from hooklane.fanout.process import Process
from hooklane.fanout.redirect import Share
from hooklane.fanout.restore import LaneRestorer
from hooklane.fanout.tail import LaneTail
from hooklane.fanout.transaction import Layout, records
from hooklane.fanout.writer import CommitResult, TransactionWriter
from hooklane.runtime import kafka
from hooklane.runtime.group_poll import GroupPoll, Owner
from hooklane.runtime.group_reader import GroupReader
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_consumer, open_producer
from hooklane.runtime.threads import SYSTEM_THREADS, Threads
from hooklane.runtime.transactions import TransactionalProducer, TransactionThread
from hooklane.schemas.lane import LaneId

log = structlog.get_logger(__name__)

_REVOKE_EXTRA_S = 1.0
_AT_ONCE = 50
"""Records that are taken in before deliveries go on. Whole windows at once cost a third more for
each delivery: what was taken in has left the processor's caches by the time it is delivered."""
_KEPT = 500
"""Records of a partition whose window is full: they need not be fetched a second time."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The group's member, the reader of the lanes, and what opens a transactional producer, whose
    transactions may last `transaction_s` seconds."""

    member: Consumer
    lanes: Consumer
    producer: Callable[[], TransactionalProducer]
    transaction_s: float


def open_clients(access: KafkaAccess, layout: Layout) -> Clients:
    """Those of the cluster that the settings name.

    Raises:
        SettingsError: a property is wrong, or the session timeout too short for transactions.
    """
    producer = kafka.transactional_producer(access, layout.names.prefix, layout.group)
    return Clients(
        member=open_consumer(kafka.group_consumer(access, layout.group)),
        lanes=open_consumer(kafka.internal_consumer(access)),
        producer=lambda: open_producer(producer),
        transaction_s=int(producer["transaction.timeout.ms"]) / 1000,
    )


class KafkaSide:
    """Made in the running event loop, after the topics were found to be right."""

    def __init__(
        self,
        clients: Clients,
        admin: Admin,
        process: Process,
        layout: Layout,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._process = process
        self._layout = layout
        self._threads = threads
        self._consumer = clients.member
        self._tail = LaneTail(clients.lanes, layout.names.lanes, threads)
        self.topics = KafkaEventTopics(admin, process.group, layout.names.lanes)
        self._transaction_s = clients.transaction_s
        self._writer = TransactionWriter(
            clients.producer, clients.transaction_s, process.clock.monotonic
        )
        self._thread = TransactionThread(self._writer.transactions)
        self.open, self.reopen = self._thread.open, self._thread.reopen
        self._restorer: LaneRestorer | None = None

    def source(self, topics: Sequence[str], grace_s: float) -> Callable[[Owner], GroupPoll]:
        """The poll thread of these event topics, for its owner to be."""
        clock = self._process.clock
        limit_s = grace_s + self._transaction_s + _REVOKE_EXTRA_S
        return lambda owner: GroupPoll(
            GroupReader(self._consumer, _AT_ONCE, _KEPT),
            topics,
            owner,
            clock.monotonic,
            limit_s,
            threads=self._threads,
        )

    def restorer(self, released: Callable[[Place, LaneId, int], None]) -> Restorer:
        """The lanes of what is assigned, read on a thread of its own from now on."""
        restorer = LaneRestorer(
            self._tail,
            self._process.group,
            self._layout.partitions,
            self.topics.lanes_high_watermark,
            released,
        )
        self._tail.start(restorer)
        return restorer

    @property
    def write(self) -> Write:
        return self._write

    async def close(self) -> None:
        """After the consumer has left the group."""
        await self._tail.stop()
        await asyncio.to_thread(self._thread.close)

    async def _write(self, shares: Sequence[Share], metadata: bytes) -> CommitResult:
        return await self._thread.write(self._write_blocking, shares, metadata)

    def _write_blocking(self, shares: Sequence[Share], metadata: bytes) -> CommitResult:
        at_ms = self._process.clock.wall_ms()
        written = chain.from_iterable(records(share, self._layout, at_ms) for share in shares)
        return self._writer.write(shares, written, metadata)
