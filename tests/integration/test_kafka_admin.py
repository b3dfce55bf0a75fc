"""What a real broker answers to the questions that the services ask."""

import re
import socket
import time
from collections.abc import Callable
from typing import TypeVar

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from hooklane.runtime import kafka as configs
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import ASKED_S, KafkaAdmin, Partition, check_reachable
from hooklane.runtime.kafka_clients import open_producer
from tests.kafka.broker import Kafka
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import Outgoing, create_topic, produce, read_topic

T = TypeVar("T")


@pytest.fixture
def access(kafka: Kafka) -> KafkaAccess:
    return KafkaAccess(kafka.bootstrap_servers)


@pytest.fixture
def admin(access: KafkaAccess) -> KafkaAdmin:
    return KafkaAdmin(access)


def test_a_topic_made_again_has_another_id(kafka: Kafka, admin: KafkaAdmin, prefix: str) -> None:
    """Ids are 32 hex digits, differ between topics of one name, and a missing topic has none."""
    topic = create_topic(kafka, f"{prefix}.events")
    first = admin.topic_ids([topic, f"{prefix}.none"])
    assert first.keys() == {topic}
    assert re.fullmatch("[0-9a-f]{32}", first[topic])
    admin.answer(admin.client.delete_topics([topic])[topic], "delete a topic")
    deadline = time.monotonic() + 10.0
    while topic in admin.layouts() and time.monotonic() < deadline:
        time.sleep(0.02)
    create_topic(kafka, topic)
    second = admin.topic_ids([topic])
    assert second.keys() == {topic}
    assert second != first


def test_layouts_and_settings_are_told(kafka: Kafka, admin: KafkaAdmin, prefix: str) -> None:
    """Partition counts, copies and settings of a topic; nothing of one that is missing."""
    topic = create_topic(kafka, f"{prefix}.events", 5, {"retention.ms": "123456"})
    layout = admin.layouts()[topic]
    assert (layout.partitions, layout.replicas) == (5, 1)
    told = admin.configs([topic, f"{prefix}.none"])
    assert told.keys() == {topic}
    assert told[topic]["retention.ms"] == "123456"
    assert told[topic]["cleanup.policy"] == "delete"


def test_a_high_watermark_is_beyond_an_open_transaction(
    kafka: Kafka, admin: KafkaAdmin, access: KafkaAccess, prefix: str
) -> None:
    """Rule 5: the end that a restore must reach counts what is not committed yet."""
    topic = create_topic(kafka, f"{prefix}.events", 2)
    produce(kafka, topic, [Outgoing(value=b"1", partition=0), Outgoing(value=b"2", partition=0)])
    producer = open_producer(configs.transactional_producer(access, prefix, "g"))
    producer.init_transactions(20.0)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(10.0)
    places = [Partition(topic, 0), Partition(topic, 1)]
    assert admin.first_offsets(places) == {places[0]: 0, places[1]: 0}
    assert admin.stable_ends(places) == {places[0]: 2, places[1]: 0}
    assert admin.high_watermarks(places) == {places[0]: 3, places[1]: 0}
    producer.abort_transaction(20.0)


def test_a_second_producer_of_the_name_ends_what_the_first_left_open(
    kafka: Kafka, access: KafkaAccess, prefix: str
) -> None:
    """Our configuration fences: after a new start an open transaction of the old one is gone."""
    topic = create_topic(kafka, f"{prefix}.events")
    static = KafkaAccess(access.bootstrap_servers, {}, "fanout-0")

    def started() -> Producer:
        producer = open_producer(configs.transactional_producer(static, prefix, "g"))
        producer.init_transactions(20.0)
        producer.begin_transaction()
        return producer

    first = started()
    first.produce(topic, b"left open")
    first.flush(10.0)
    second = started()
    second.produce(topic, b"kept")
    second.commit_transaction(20.0)
    assert [one.value for one in read_topic(kafka, topic)] == [b"kept"]


def test_an_unknown_partition_is_refused_in_one_sentence(
    kafka: Kafka, admin: KafkaAdmin, prefix: str
) -> None:
    """A question about what is not there is a BrokerError, not a foreign one."""
    topic = create_topic(kafka, f"{prefix}.events")
    with pytest.raises(BrokerError, match=r"^Kafka at .* refuses to tell offsets: .*\.$"):
        admin.high_watermarks([Partition(topic, 7)])


def test_a_broker_that_is_reached_is_reached(access: KafkaAccess) -> None:
    """With a broker there, nothing is raised."""
    check_reachable(access, 10.0)


def test_nobody_listening_is_one_sentence_with_the_reason() -> None:
    """The setting to change and what was met are named, within the deadline."""
    begin = time.monotonic()
    with pytest.raises(BrokerError, match=r"Connection refused.*KAFKA__BOOTSTRAP_SERVERS"):
        check_reachable(KafkaAccess("127.0.0.1:1"), 1.0)
    assert time.monotonic() - begin < 5.0


def test_a_silent_listener_is_not_waited_for_longer_than_asked() -> None:
    """Something that takes the connection and never answers is told after the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        begin = time.monotonic()
        with pytest.raises(BrokerError, match=r"within 1 s at .*KAFKA__BOOTSTRAP_SERVERS"):
            check_reachable(KafkaAccess(f"127.0.0.1:{port}"), 1.0)
        assert time.monotonic() - begin < 5.0


def test_committed_offsets_are_told_while_the_coordinator_moves(
    kafka_cluster: KafkaCluster, prefix: str
) -> None:
    """Who is asked may be dead, or have handed the group on: the answer only comes later."""
    topic, group = create_topic(kafka_cluster.kafka, f"{prefix}.events"), f"{prefix}-group"
    access = KafkaAccess(kafka_cluster.bootstrap_servers)
    consumer = Consumer({**configs.internal_consumer(access), "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    consumer.close()
    admin, place = KafkaAdmin(access, ASKED_S), Partition(topic, 0)
    assert admin.committed_offsets(group, [place]) == {place: 7}
    for moves in (kafka_cluster.kill, kafka_cluster.stop):
        node = kafka_cluster.group_coordinator(group)
        moves(node)
        assert _patiently(lambda: admin.committed_offsets(group, [place])) == {place: 7}
        kafka_cluster.start(node)
        assert _patiently(lambda: admin.committed_offsets(group, [place])) == {place: 7}
    assert admin.committed_offsets(f"{prefix}-other", [place]) == {place: None}


def _patiently(question: Callable[[], T]) -> T:
    """As the services ask: again, while there is no answer."""
    deadline = time.monotonic() + 40.0
    while True:
        try:
            return question()
        except BrokerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_questions_are_answered_after_the_death_of_a_broker(
    kafka_cluster: KafkaCluster, prefix: str
) -> None:
    """Whichever broker dies, ids and ends are told by those that are left."""
    topic = create_topic(kafka_cluster.kafka, f"{prefix}.events")
    admin = KafkaAdmin(KafkaAccess(kafka_cluster.bootstrap_servers))
    place = Partition(topic, 0)
    before = admin.topic_ids([topic]), admin.high_watermarks([place])
    dead = kafka_cluster.leader(topic, 0)
    kafka_cluster.kill(dead)
    kafka_cluster.wait_leader_other_than(dead, topic, 0)
    assert (admin.topic_ids([topic]), admin.high_watermarks([place])) == before
    assert admin.brokers() == 2
