"""The outbox relay while brokers die and stand still."""

import pytest

from hooklane.runtime.settings_outbox import OutboxSettings
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import create_topic
from tests.support.outbox import Outbox, Writers, wait_until
from tests.support.postgres import Postgres


@pytest.mark.slow
def test_kafka_goes_away_and_comes_back(
    kafka_cluster: KafkaCluster, postgres: Postgres, prefix: str
) -> None:
    """A leader is killed, then nobody answers for longer than a transaction may last: rows wait,
    and then all of them are in Kafka, each key in order."""
    kafka = kafka_cluster.kafka
    topic = create_topic(kafka, f"{prefix}.orders", partitions=3, replicas=3)
    outbox = Outbox(
        postgres, kafka, prefix, OutboxSettings(topic=f"{prefix}.{{aggregatetype}}", buckets=2)
    )
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
