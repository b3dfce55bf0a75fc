"""The outbox relay while brokers die and stand still, and without a right that it needs."""

import pytest
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from hooklane.ops.topics_rights import Groups, Resource, Role, rights
from hooklane.runtime.settings_outbox import OutboxSettings
from hooklane.runtime.topic_plan import TopicPlan
from hooklane.schemas.topics import Delay, TopicNames
from tests.chaos.test_rights import by_password
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import create_topic
from tests.kafka.rights import binding, grant, set_password
from tests.support.outbox import Outbox, Writers, wait_until
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow


def test_kafka_goes_away_and_comes_back(
    kafka_cluster: KafkaCluster, postgres: Postgres, prefix: str
) -> None:
    """A leader is killed, then nobody answers for longer than a transaction may last: rows wait,
    and then all of them are in Kafka, each key in order."""
    kafka = kafka_cluster.kafka
    topic = create_topic(kafka, f"{prefix}.orders", partitions=3, replicas=3)
    settings = OutboxSettings(topic=f"{prefix}.{{aggregatetype}}", buckets=2)
    outbox = Outbox(postgres, kafka, prefix, settings)
    writers = Writers(outbox, keys=20, threads=2)
    with outbox.relay(KAFKA__SESSION_TIMEOUT="3s") as relay:
        relay.wait_for(lambda: relay.metric("hooklane_outbox_buckets") == 2)
        with writers.writing():
            relay.wait_for(lambda: relay.metric("hooklane_outbox_published_total") > 50)
            victim = kafka_cluster.leader(topic, 0)
            kafka_cluster.kill(victim)
            before = relay.metric("hooklane_outbox_published_total")
            relay.wait_for(
                lambda: relay.metric("hooklane_outbox_published_total") > before + 100, 60.0
            )
            for node in {1, 2, 3} - {victim}:
                kafka_cluster.freeze(node)
            relay.wait_for(
                lambda: relay.metric("hooklane_outbox_uncertain_transactions_total") > 0, 60.0
            )
            assert relay.get("/readyz")[0] == 200
            for node in {1, 2, 3} - {victim}:
                kafka_cluster.thaw(node)
        kafka_cluster.start(victim)
        wait_until(lambda: outbox.left() == 0, 60.0)
        assert relay.terminate() == 0
    verdict = writers.verdict(topic)
    assert verdict.in_order_and_complete, verdict


def test_the_printed_rights_are_enough(
    kafka_cluster: KafkaCluster, postgres: Postgres, prefix: str
) -> None:
    """What `topics acls` prints for the relay is what it needs: without the right on a topic what
    goes there waits and other topics go on, and with it all is published."""
    kafka = kafka_cluster.kafka
    allowed, denied = (create_topic(kafka, f"{prefix}.{name}") for name in ("orders", "secrets"))
    user = f"{prefix}-relay"
    set_password(kafka, user, "canary-password")
    plan = TopicPlan(TopicNames(prefix), 4, 3, (Delay.parse("5s"),), (allowed, denied))
    found = [one for one in rights(plan, Groups("f", "r")) if one.role is Role.OUTBOX]
    bindings = {
        one.name: binding(
            ResourceType.TOPIC if one.resource is Resource.TOPIC else ResourceType.TRANSACTIONAL_ID,
            one.name,
            user,
            AclOperation.WRITE,
            pattern=(ResourcePatternType.PREFIXED if one.prefixed else ResourcePatternType.LITERAL),
        )
        for one in found
    }
    assert len(bindings) == 3
    later = bindings.pop(denied)
    grant(kafka, list(bindings.values()))
    settings = OutboxSettings.model_validate(
        {"topic": f"{prefix}.{{aggregatetype}}", "again_after": "1s"}
    )
    outbox = Outbox(postgres, kafka, prefix, settings)
    outbox.write("a", of="secrets")
    outbox.write("a", of="orders")
    with outbox.relay(**by_password(kafka_cluster.sasl, user, "canary-password")) as relay:
        relay.wait_for(lambda: outbox.left() == 1)
        relay.wait_for(lambda: relay.metric("hooklane_outbox_held") == 1)
        assert "authorization failed" in relay.log()
        grant(kafka, [later])
        relay.wait_for(lambda: outbox.left() == 0)
        assert "canary-password" not in relay.log()
    assert len(outbox.published(denied)) == 1
