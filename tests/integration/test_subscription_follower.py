"""The follower of the config topic on real Kafka."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from confluent_kafka import OFFSET_END, Producer, TopicPartition

from hooklane.runtime.errors import BrokerError, SettingsError, TopicsError
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.runtime.subscriptions_reader import (
    ClientProperties,
    End,
    Line,
    Replaced,
    TopicReader,
)
from hooklane.schemas.book import BookChange, ChangeKind
from hooklane.schemas.subscription_values import ServicePolicy
from tests.kafka.broker import Kafka
from tests.kafka.cluster import BROKERS, KafkaCluster
from tests.kafka.records import Outgoing, admin_of, create_topic, produce, read_topic

DEADLINE_S = 30.0
COMPACT = {"cleanup.policy": "compact"}


def document(name: str, host: str = "one") -> Outgoing:
    """A valid subscription; `host` tells its versions apart."""
    value = {
        "id": name,
        "url": f"https://{host}.example.com/",
        "signing": {"scheme": "standard", "secrets": ["env:HOOKLANE_SECRET_A"]},
    }
    return Outgoing(name.encode(), json.dumps(value).encode())


@dataclass
class Told:
    """What a service would know: only what it was told."""

    changes: list[BookChange] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    something: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, change: BookChange) -> None:
        self.changes.append(change)
        if change.entry is None:
            self.urls.pop(change.id, None)
        else:
            self.urls[change.id] = change.entry.subscription.url
        self.something.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self.something.clear()
                await self.something.wait()


@asynccontextmanager
async def follower_of(
    kafka: Kafka, topic: str, told: Told, metrics: Metrics | None = None
) -> AsyncIterator[SubscriptionFollower]:
    properties: ClientProperties = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "fetch.wait.max.ms": 20,
    }
    follower = SubscriptionFollower(
        TopicReader(properties, topic),
        ServicePolicy(),
        told,
        metrics or Metrics(Service.FANOUT),
    )
    try:
        yield follower
    finally:
        await follower.stop()


def url(host: str) -> str:
    return f"https://{host}.example.com/"


async def test_reads_to_the_end_then_follows(kafka: Kafka, prefix: str) -> None:
    """start() returns with all that is in force told; what is written then is told at once."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=COMPACT)
    records = [document("a"), document("b"), document("a", "two"), Outgoing(b"b", None)]
    produce(kafka, topic, records)
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        await follower.start()
        assert told.urls == {"a": url("two")}
        assert [change.kind for change in told.changes] == [ChangeKind.ADDED]
        assert follower.book.position == 4
        written = time.monotonic()
        produce(kafka, topic, [document("c")])
        await told.until(lambda: "c" in told.urls)
        assert time.monotonic() - written < 2.0
        produce(kafka, topic, [Outgoing(b"a", None)])
        await told.until(lambda: "a" not in told.urls)


async def test_an_empty_topic_is_read_at_once(kafka: Kafka, prefix: str) -> None:
    """No record at all is an end as well."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=COMPACT)
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        await follower.start()
        assert told.changes == []
        assert not follower.failed.done()


async def test_rubbish_stops_nothing(kafka: Kafka, prefix: str) -> None:
    """Bad documents are told and counted, the last good version stays, and what follows is read."""
    # Not compacted: such a topic would refuse the null key by itself.
    topic = create_topic(kafka, f"{prefix}.subscriptions")
    rubbish = [
        document("a"),
        Outgoing(b"a", b"\xff\x00 not json"),
        Outgoing(None, b"{}"),
        Outgoing(b"", b"{}"),
        Outgoing(b"Not An Id", b"{}"),
        Outgoing(b"deep", b"[" * 100_000),
        document("b"),
    ]
    produce(kafka, topic, rubbish)
    told, metrics = Told(), Metrics(Service.FANOUT)
    async with follower_of(kafka, topic, told, metrics) as follower:
        await follower.start()
        assert told.urls == {"a": url("one"), "b": url("one")}
        assert len([one for one in told.changes if one.kind is ChangeKind.BAD]) == 5
        assert metrics.registry.get_sample_value("hooklane_bad_subscriptions") == 5
        assert metrics.registry.get_sample_value("hooklane_subscriptions") == 2
        produce(kafka, topic, [Outgoing(b"b", b"{"), document("c")])
        await told.until(lambda: "c" in told.urls)
        assert told.urls["b"] == url("one")


async def test_waits_for_an_open_transaction(kafka: Kafka, prefix: str) -> None:
    """The end is the high watermark: a document in a transaction that is still open is waited for,
    and one in an aborted transaction never counts."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=COMPACT)
    properties = {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{prefix}-x"}
    producer = Producer(properties)
    await asyncio.to_thread(producer.init_transactions, DEADLINE_S)
    for name, finish in (("dropped", producer.abort_transaction), ("a", None)):
        producer.begin_transaction()
        record = document(name)
        producer.produce(topic, key=record.key, value=record.value)
        producer.flush(DEADLINE_S)
        if finish is not None:
            await asyncio.to_thread(finish, DEADLINE_S)
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        starting = asyncio.create_task(follower.start())
        done, _ = await asyncio.wait({starting}, timeout=2.5)
        assert not done
        await asyncio.to_thread(producer.commit_transaction, DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            await starting
        assert told.urls == {"a": url("one")}


async def test_a_missing_topic_is_said(kafka: Kafka, prefix: str) -> None:
    """Without its topic the follower does not start, and says what creates it."""
    async with follower_of(kafka, f"{prefix}.subscriptions", Told()) as follower:
        with pytest.raises(TopicsError, match=r"create it by `hooklane topics apply`"):
            await follower.start()


def test_nobody_at_the_address_is_said() -> None:
    """An address where no broker listens is one sentence that names the setting."""
    reader = TopicReader({"bootstrap.servers": "127.0.0.1:1"}, "x.subscriptions")
    with pytest.raises(BrokerError, match=r"at 127\.0\.0\.1:1 .*: check HOOKLANE_KAFKA__BOOTSTRAP"):
        reader.begin()
    reader.close()


def test_a_property_that_does_not_exist_is_said() -> None:
    """What librdkafka does not know is a wrong setting, named, and no retry."""
    reader = TopicReader({"bootstrap.servers": "127.0.0.1:1", "no.such": "x"}, "x.subscriptions")
    with pytest.raises(SettingsError, match=r"no\.such"):
        reader.begin()
    reader.close()


async def test_records_deleted_behind_it_change_nothing(kafka: Kafka, prefix: str) -> None:
    """What was read stays in force when the topic's beginning goes, and the follower goes on."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config={"cleanup.policy": "delete"})
    produce(kafka, topic, [document("a"), document("b")])
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        await follower.start()
        delete_all(kafka, topic)
        produce(kafka, topic, [document("c")])
        await told.until(lambda: "c" in told.urls)
        assert set(told.urls) == {"a", "b", "c"}
        assert not follower.failed.done()


def delete_all(kafka: Kafka, topic: str) -> None:
    everything = TopicPartition(topic, 0, OFFSET_END)
    admin = admin_of(kafka)
    admin.delete_records([everything])[everything].result(DEADLINE_S)


def test_records_deleted_before_it_are_noticed(kafka: Kafka, prefix: str) -> None:
    """A reader whose next record was deleted says that the topic was cut, and jumps nowhere."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config={"cleanup.policy": "delete"})
    for one in range(40):
        produce(kafka, topic, [Outgoing(b"%d" % one, bytes(20_000))])
    sips: ClientProperties = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "queued.min.messages": 1,
        "queued.max.messages.kbytes": 1,
        "fetch.message.max.bytes": 20_000,
    }
    reader = TopicReader(sips, topic)
    reader.begin()
    deadline = time.monotonic() + DEADLINE_S
    read: list[int] = []
    found: object = None
    while not isinstance(found, Replaced | End) and time.monotonic() < deadline:
        found = reader.poll(0.2)
        if isinstance(found, Line):
            read.append(found.offset)
            if len(read) == 1:
                delete_all(kafka, topic)
    reader.close()
    assert isinstance(found, Replaced)
    assert read == list(range(len(read)))


async def test_a_topic_made_again_is_read_anew(kafka: Kafka, prefix: str) -> None:
    """A topic of the same name is another topic: its subscriptions replace all that were known."""
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=COMPACT)
    produce(kafka, topic, [document("a"), document("b"), document("b", "two")])
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        await follower.start()
        assert told.urls == {"a": url("one"), "b": url("two")}
        admin = admin_of(kafka)
        admin.delete_topics([topic])[topic].result(DEADLINE_S)
        create_topic(kafka, topic, config=COMPACT)
        produce(kafka, topic, [document("b", "three")])
        await told.until(lambda: told.urls == {"b": url("three")})
        produce(kafka, topic, [document("c")])
        await told.until(lambda: "c" in told.urls)


async def test_compaction_while_it_is_read(kafka: Kafka, prefix: str) -> None:
    """Followers that start while the broker compacts all know the newest versions (fault 20)."""
    often = {
        **COMPACT,
        "segment.ms": "50",
        "min.cleanable.dirty.ratio": "0.001",
        "delete.retention.ms": "0",
        "max.compaction.lag.ms": "1",
    }
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=often)
    deadline = time.monotonic() + 60.0
    version = 0
    while True:
        version += 1
        names = [f"s{one}" for one in range(20)]
        produce(kafka, topic, [document(name, f"v{version}") for name in names])
        if version % 5 == 0:
            produce(kafka, topic, [Outgoing(b"s0", None)])
        told = Told()
        async with follower_of(kafka, topic, told) as follower:
            await follower.start()
            expected = {name: url(f"v{version}") for name in names}
            if version % 5 == 0:
                del expected["s0"]
            assert told.urls == expected
        stored = read_topic(kafka, topic)
        if version > 10 and len(stored) < (version - 1) * 20:
            break
        assert time.monotonic() < deadline, "the broker did not compact"
        await asyncio.sleep(0.2)


async def test_an_outage_only_delays(kafka_cluster: KafkaCluster, prefix: str) -> None:
    """With every broker dead start() waits and ends once they are back; with every broker stuck
    what follows is late."""
    kafka = kafka_cluster.kafka
    topic = create_topic(kafka, f"{prefix}.subscriptions", config=COMPACT, replicas=3)
    produce(kafka, topic, [document("a")])
    for node in BROKERS:
        kafka_cluster.kill(node)
    told = Told()
    async with follower_of(kafka, topic, told) as follower:
        starting = asyncio.create_task(follower.start())
        done, _ = await asyncio.wait({starting}, timeout=1.5)
        assert not done
        await asyncio.to_thread(kafka_cluster.start_all)
        async with asyncio.timeout(60.0):
            await starting
        assert told.urls == {"a": url("one")}
        for node in BROKERS:
            kafka_cluster.freeze(node)
        writing = asyncio.create_task(
            asyncio.to_thread(produce, kafka, topic, [document("b")]), name="produce"
        )
        await asyncio.wait({writing}, timeout=1.5)
        assert not writing.done()
        for node in BROKERS:
            kafka_cluster.thaw(node)
        await writing
        await told.until(lambda: "b" in told.urls)
        assert not follower.failed.done()
