"""What may happen to an event topic under a running fan-out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.chaos.stage import stage, until
from tests.kafka.broker import Kafka
from tests.kafka.cluster import BROKERS, KafkaCluster
from tests.kafka.records import admin_of, forget_producers
from tests.support.site import Site, make_site
from tests.support.webhook_sink import WebhookSink

# New partitions are looked for each half minute, unless one says otherwise.
NOTICES_SOON = {"KAFKA__PROPERTIES": '{"topic.metadata.refresh.interval.ms": 1000}'}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("drained", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_raised_partition_count_loses_nothing(
    kafka: Kafka, prefix: str, tmp_path: Path, drained: bool
) -> None:
    """Keys move between partitions: all arrives, and in order where the topic was drained first."""
    with (
        stage(kafka, prefix, names=["steady"]) as flowing,
        flowing.site.fanout(**NOTICES_SOON) as fanout,
    ):
        fanout.wait_ready()
        if drained:
            flowing.flow.pause()
        flowing.settle()
        raised, admin = [NewPartitions(flowing.site.events, 7)], admin_of(kafka)
        admin.create_partitions(raised)[flowing.site.events].result(30.0)
        fanout.wait_for(lambda: fanout.log().count("partition.restored") >= 7)
        flowing.flow.resume()
        flowing.settle()
        flowing.finish(unordered=[] if drained else ["steady"])
        assert fanout.terminate() == 0


@pytest.mark.timeout(120)
def test_expired_events_are_counted_and_shouted(
    kafka: Kafka, prefix: str, sink: WebhookSink
) -> None:
    """What retention took while the fan-out was down is said; the rest is delivered."""
    site = make_site(kafka, prefix, partitions=1)
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"] * 5)
        sink.wait_for(lambda: len(sink.hits) == 5)
        assert fanout.terminate() == 0
        site.publish_numbers(["k"] * 10, first=5)
        expired, admin = TopicPartition(site.events, 0, 9), admin_of(kafka)
        admin.delete_records([expired])[expired].result(30.0)
        fanout.start()
        sink.wait_for(lambda: len(sink.hits) == 11)
        assert fanout.metric("hooklane_expired_events_total") == 4
        [told] = [line for line in fanout.log_lines() if line["event"] == "events.expired"]
        assert (told["first"], told["last"], told["count"]) == (5, 8, 4)
        assert fanout.terminate() == 0
    assert numbers(sink) == [*range(5), *range(9, 15)]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_unclean_election_is_said_and_what_is_there_is_delivered(
    kafka_cluster: KafkaCluster, prefix: str, sink: WebhookSink
) -> None:
    """Acknowledged events are lost by the topic's own setting: shouted, and the new ones come."""
    cluster, topic = kafka_cluster, f"{prefix}-uncertain"
    keeps, loses = BROKERS[:2]
    new = NewTopic(
        topic, 1, replica_assignment=[[keeps, loses]], config={"min.insync.replicas": "1"}
    )
    admin = admin_of(cluster.kafka)
    admin.create_topics([new])[topic].result(30.0)
    site = replace(make_site(cluster.kafka, prefix), events=topic)
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        publish_and_wait(site, sink, 0, 10)
        cluster.kill(loses)
        until(lambda: cluster.in_sync(topic, 0) == {keeps}, seconds=30.0)
        publish_and_wait(site, sink, 10, 20)
        until(lambda: fanout.metric('hooklane_transactions_total{outcome="committed"}') > 1)
        cluster.kill(keeps)
        cluster.start(loses)
        cluster.elect_uncleanly(topic, 0)
        cluster.wait_leader_other_than(keeps, topic, 0)
        forget_producers()
        publish_and_wait(site, sink, 20, 25)
        said = {"partition.went_back", "partition.shorter_than_committed"}
        assert said & {line["event"] for line in fanout.log_lines()}
        assert fanout.terminate() == 0


def publish_and_wait(site: Site, sink: WebhookSink, first: int, end: int) -> None:
    site.publish_numbers(["k"] * (end - first), first=first)
    sink.wait_for(lambda: set(numbers(sink)) >= set(range(first, end)), 60.0)


def numbers(sink: WebhookSink) -> list[int]:
    return [int(json.loads(hit.body)["n"]) for hit in list(sink.hits)]
