"""Groups that are divided as nobody wants it: a member died, or came back with other topics."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import Consumer, TopicPartition

from hooklane.runtime import kafka as configs
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.runtime.kafka_clients import open_consumer
from tests.chaos.stage import until
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, create_topic, produce
from tests.support.processes import ServiceProcess
from tests.support.site import Site, make_site
from tests.support.webhook_sink import WebhookSink

PARTITIONS = 4
SESSION_S = 3.0
QUICK = {
    "KAFKA__SESSION_TIMEOUT": "3s",
    "FANOUT__REVOKE_GRACE": "1s",
    "RETRIER__REVOKE_GRACE": "1s",
}


class Dying:
    """A static member that has a whole topic, and never comes back from giving some of it up."""

    def __init__(self, kafka: Kafka, group: str, topic: str, instance: str) -> None:
        access = KafkaAccess(kafka.bootstrap_servers, {}, instance, SESSION_S)
        self._consumer = open_consumer(configs.group_consumer(access, group))
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked)
        self._thread = threading.Thread(target=self._poll)
        self._ended = threading.Event()
        self.has_all, self.gives_up = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _poll(self) -> None:
        while not self._ended.is_set():
            self._consumer.poll(0.1)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if len(consumer.assignment()) == PARTITIONS:
            self.has_all.set()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.gives_up.set()
        self._ended.wait()
        consumer.incremental_unassign(partitions)


@pytest.fixture
def site(kafka: Kafka, prefix: str) -> Site:
    return make_site(kafka, prefix, partitions=PARTITIONS)


@contextmanager
def left_with_a_hole(
    kafka: Kafka, group: str, topic: str, one: ServiceProcess, two: ServiceProcess
) -> Iterator[None]:
    """Both services run, and some partitions are nobody's in a group that calls itself stable."""
    with Dying(kafka, group, topic, f"{one.command}-{one.name}") as dying:
        assert dying.has_all.wait(30)
        with two:
            assert dying.gives_up.wait(30)
            with one:
                one.wait_ready()
                division = KafkaAdmin(KafkaAccess(kafka.bootstrap_servers)).division(group)
                assert division.settled
                assert sum(map(len, division.given.values())) < PARTITIONS
                yield


def given(kafka: Kafka, group: str) -> dict[str, frozenset[Assigned]]:
    """What each process has, by its name."""
    found = KafkaAdmin(KafkaAccess(kafka.bootstrap_servers)).division(group).given
    return {member[:-37]: partitions for member, partitions in found.items()}


def test_a_hole_in_the_fanouts_group_is_closed(
    kafka: Kafka, prefix: str, site: Site, sink: WebhookSink
) -> None:
    """Membership: events of all partitions are delivered, and each process keeps what it had."""
    site.subscribe("s", sink.url("s"))
    site.publish_numbers([f"key-{number}" for number in range(20)])
    group = f"{prefix}-fanout"
    one, two = (site.fanout(name, **QUICK) for name in ("one", "two"))
    with left_with_a_hole(kafka, group, site.events, one, two):
        before = given(kafka, group)
        sink.wait_for(lambda: len(sink.hits) == 20, 40.0)
        after = given(kafka, group)
        assert after.keys() == {"fanout-one", "fanout-two"}
        assert after["fanout-one"] >= before["fanout-one"]
        assert sum(map(len, after.values())) == PARTITIONS


def test_an_event_topic_that_is_added_is_consumed(
    kafka: Kafka, prefix: str, site: Site, sink: WebhookSink
) -> None:
    """Membership: a static process that comes back with another topic is given what it had, and
    nobody is given the topic, until the group is divided anew; then its events come."""
    site.subscribe("s", sink.url("s"))
    added = create_topic(kafka, f"{prefix}-more", PARTITIONS)
    with site.fanout(**QUICK) as before:
        before.wait_ready()
        site.publish_numbers(["a"])
        sink.wait_for(lambda: len(sink.hits) == 1)
        assert before.terminate() == 0
    produce(kafka, added, [Outgoing(b"%d" % number, b"{}") for number in range(20)])
    with site.fanout(**QUICK, FANOUT__TOPICS=json.dumps([site.events, added])):
        sink.wait_for(lambda: len(sink.hits) == 21, 40.0)


def test_an_event_topic_that_is_taken_out_is_left_alone(
    kafka: Kafka, prefix: str, site: Site, sink: WebhookSink
) -> None:
    """Membership: a static process that comes back without a topic is given what it had all the
    same, and does not take it; whoever wants the topic gets it."""
    site.subscribe("s", sink.url("s"))
    other, group = create_topic(kafka, f"{prefix}-less", PARTITIONS), f"{prefix}-fanout"
    both = {**QUICK, "FANOUT__TOPICS": json.dumps([site.events, other])}
    others = {Assigned(other, number) for number in range(PARTITIONS)}
    with site.fanout(**both) as before:
        before.wait_ready()
        produce(kafka, other, [Outgoing(b"a", b"{}")])
        sink.wait_for(lambda: len(sink.hits) == 1)
        assert before.terminate() == 0
    with site.fanout(**QUICK) as one:
        one.wait_ready()
        assert others <= given(kafka, group)["fanout-one"]
        produce(kafka, other, [Outgoing(b"b", b'"waits"')])
        site.publish_numbers(["c"])
        sink.wait_for(lambda: len(sink.hits) == 2)
        assert sink.hits[1].body != b'"waits"'
        with site.fanout("two", **both) as two:
            sink.wait_for(lambda: sink.hits[-1].body == b'"waits"', 40.0)
            assert others <= given(kafka, group)["fanout-two"]
            assert two.terminate() == one.terminate() == 0
    assert len(sink.hits) == 3


def test_a_hole_in_the_retriers_group_is_closed(
    kafka: Kafka, prefix: str, site: Site, tmp_path: Path
) -> None:
    """Membership: each partition of the backlog has an owner again."""
    group = f"{prefix}-retrier"
    told = {**QUICK, "RETRIER__SPOOL_DIR": str(tmp_path)}
    one, two = (site.retrier(name, **told) for name in ("one", "two"))
    with left_with_a_hole(kafka, group, site.names.backlog, one, two):
        until(lambda: sum(map(len, given(kafka, group).values())) == PARTITIONS, seconds=40.0)
