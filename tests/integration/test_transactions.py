"""What a real broker makes of transactions that name a group's generation: the retrier's fence."""

import random
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from hooklane.runtime import kafka as configs
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition
from hooklane.runtime.kafka_clients import open_consumer, open_producer
from hooklane.runtime.transactions import CommitResult, Outgoing, TransactionWriter
from hooklane.schemas.outgoing import Record
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic, read_topic

SECONDS = 20.0
COMMITTED = CommitResult.COMMITTED


@pytest.fixture
def access(kafka: Kafka) -> KafkaAccess:
    return KafkaAccess(kafka.bootstrap_servers)


@pytest.fixture
def topic(kafka: Kafka, prefix: str) -> str:
    return create_topic(kafka, f"{prefix}.backlog", 2)


@pytest.fixture
def writer(access: KafkaAccess, prefix: str) -> TransactionWriter:
    config = configs.transactional_producer(access, prefix, "g")
    return TransactionWriter(lambda: open_producer(config), 10.0)


@pytest.fixture
def member(access: KafkaAccess, topic: str, prefix: str) -> Iterator[Consumer]:
    with closing(joined(access, topic, prefix)) as consumer:
        poll_until_assigned(consumer)
        yield consumer


def joined(access: KafkaAccess, topic: str, prefix: str) -> Consumer:
    consumer = open_consumer(configs.group_consumer(access, prefix))
    consumer.subscribe([topic])
    return consumer


def poll_until_assigned(consumer: Consumer, *others: Consumer) -> None:
    deadline = time.monotonic() + SECONDS
    while not consumer.assignment():
        assert time.monotonic() < deadline, "the group did not come together"
        for one in (consumer, *others):
            one.poll(0.05)


def test_each_record_is_told_where_it_is(
    kafka: Kafka, topic: str, writer: TransactionWriter, member: Consumer
) -> None:
    """Rule 7: the offset of a ticket is known when its transaction ends, so that its tier is not
    committed past it; markers between transactions take offsets too."""
    heard: list[tuple[KafkaError | None, int | None]] = []

    def hear(error: KafkaError | None, message: Message) -> None:
        heard.append((error, message.offset()))

    metadata = member.consumer_group_metadata()
    offsets = [TopicPartition(topic, 0, 0)]
    for number in range(2):
        records = [Outgoing(Record(topic, 0, f"{number}.{at}".encode(), b""), hear) for at in "ab"]
        assert writer.write(records, offsets, metadata) is COMMITTED
        assert len(heard) == 2 * (number + 1)
    assert heard == [(None, 0), (None, 1), (None, 3), (None, 4)]
    assert [one.key for one in read_topic(kafka, topic)] == [b"0.a", b"0.b", b"1.a", b"1.b"]


def test_a_generation_that_is_over_is_refused(
    kafka: Kafka,
    access: KafkaAccess,
    topic: str,
    prefix: str,
    writer: TransactionWriter,
    member: Consumer,
) -> None:
    """Rule 7: what a member writes that was cut off is aborted and never visible; the metadata of
    its new generation is good for what it owns then."""
    cut_off = member.consumer_group_metadata()
    records = [Outgoing(Record(topic, 0, b"tombstone", None))]
    with closing(joined(access, topic, prefix)) as successor:
        poll_until_assigned(successor, member)
        offsets = [TopicPartition(topic, 0, 0)]
        assert writer.write(records, offsets, cut_off) is CommitResult.ABORTED
        assert read_topic(kafka, topic) == []
        deadline = time.monotonic() + SECONDS
        while writer.write(records, offsets, member.consumer_group_metadata()) is not COMMITTED:
            # The last step of the rebalance may still be on its way to this member.
            assert time.monotonic() < deadline
            member.poll(0.05)
            successor.poll(0.05)
        assert [one.key for one in read_topic(kafka, topic)] == [b"tombstone"]


def test_no_offset_is_told_while_one_may_still_be_committed(
    access: KafkaAccess, topic: str, prefix: str, member: Consumer
) -> None:
    """Rule 7: a successor that asks for the committed offset waits for the transaction that its
    predecessor had offered before it was cut off."""
    producer = open_producer(configs.transactional_producer(access, prefix, "g"))
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    producer.produce(topic, key=b"tombstone", partition=0)
    offsets = [TopicPartition(topic, 0, 7)]
    producer.send_offsets_to_transaction(offsets, member.consumer_group_metadata(), SECONDS)
    place = Partition(topic, 0)
    with pytest.raises(BrokerError):
        KafkaAdmin(access, 1.0).committed_offsets(prefix, [place])
    producer.commit_transaction(SECONDS)
    assert KafkaAdmin(access).committed_offsets(prefix, [place]) == {place: 7}


def test_what_the_broker_refuses_does_not_last(
    kafka: Kafka, prefix: str, writer: TransactionWriter
) -> None:
    """A record that is too large for its topic, though not for the producer, undoes its transaction
    with whatever else was in it, and costs the next one of its partition, since the producer has
    lost count there. Then the same producer goes on, as often as that is so."""
    topic = create_topic(kafka, f"{prefix}.small", 2, {"max.message.bytes": "2000"})
    for number in range(3):
        good, there = (
            Outgoing(Record(topic, partition, b"%d" % number, b"")) for partition in (1, 0)
        )
        bad = Outgoing(Record(topic, 0, b"large", random.randbytes(3_000)))
        assert writer.write([good, bad, good], [], None) is CommitResult.ABORTED
        assert writer.undone_by is not None
        assert writer.undone_by.name() == "MSG_SIZE_TOO_LARGE"
        assert writer.write([good], [], None) is COMMITTED
        if writer.write([there], [], None) is not COMMITTED:
            assert writer.write([there], [], None) is COMMITTED
        assert writer.is_open
    found = sorted((one.partition, one.key) for one in read_topic(kafka, topic))
    assert found == [(one, b"%d" % number) for one in (0, 1) for number in range(3)]
