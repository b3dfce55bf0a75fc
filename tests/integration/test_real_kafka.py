"""What the other tests rely on: the broker, the cluster and the functions to use them."""

import pytest
from confluent_kafka import Producer

from tests.kafka.broker import Kafka
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import Outgoing, Stored, create_topic, produce, read_topic


def test_records_come_back_as_they_were_produced(kafka: Kafka, prefix: str) -> None:
    """A record is read back with its key, value, null header, timestamp and the acked place."""
    topic = create_topic(kafka, f"{prefix}.events", partitions=3)
    sent = Outgoing(b"k", b"v", (("h", b"1"), ("n", None)), partition=2, timestamp_ms=1_700_000)
    assert produce(kafka, topic, [sent]) == [(2, 0)]
    assert read_topic(kafka, topic) == [
        Stored(topic, 2, 0, 1_700_000, b"k", b"v", (("h", b"1"), ("n", None)))
    ]


def test_null_and_empty_are_told_apart(kafka: Kafka, prefix: str) -> None:
    """A null key or value does not come back as an empty one."""
    topic = create_topic(kafka, f"{prefix}.events")
    produce(kafka, topic, [Outgoing(None, None), Outgoing(b"", b"")])
    found = [(one.key, one.value) for one in read_topic(kafka, topic)]
    assert found == [(None, None), (b"", b"")]


def test_only_committed_records_are_read(kafka: Kafka, prefix: str) -> None:
    """Records of an aborted transaction are not read, those of a committed one are."""
    topic = create_topic(kafka, f"{prefix}.events")
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{prefix}-tx"}
    )
    producer.init_transactions(30.0)
    producer.begin_transaction()
    producer.produce(topic, b"dropped")
    producer.abort_transaction(30.0)
    producer.begin_transaction()
    producer.produce(topic, b"kept")
    producer.commit_transaction(30.0)
    assert [one.value for one in read_topic(kafka, topic)] == [b"kept"]


@pytest.mark.parametrize("count", [5_000])
def test_many_records_keep_their_order(kafka: Kafka, prefix: str, count: int) -> None:
    """Records of one partition are read in the order in which they were produced."""
    topic = create_topic(kafka, f"{prefix}.events")
    places = produce(kafka, topic, (Outgoing(value=b"%d" % one) for one in range(count)))
    assert places == [(0, one) for one in range(count)]
    assert [one.value for one in read_topic(kafka, topic)] == [b"%d" % i for i in range(count)]


def test_a_killed_leader_is_replaced_and_comes_back(
    kafka_cluster: KafkaCluster, prefix: str
) -> None:
    """After SIGKILL of a leader another broker leads; started again, it is in sync again."""
    kafka = kafka_cluster.kafka
    topic = create_topic(kafka, f"{prefix}.events")
    produce(kafka, topic, [Outgoing(value=b"before")])
    leader = kafka_cluster.leader(topic, 0)
    kafka_cluster.kill(leader)
    kafka_cluster.wait_leader_other_than(leader, topic, 0)
    produce(kafka, topic, [Outgoing(value=b"meanwhile")])
    kafka_cluster.start(leader)
    kafka_cluster.wait_in_sync(topic, replicas=3)
    assert [one.value for one in read_topic(kafka, topic)] == [b"before", b"meanwhile"]
