"""Brokers that want a client's certificate or a token: both by librdkafka's properties."""

import json
from pathlib import Path

import pytest

from tests.kafka.broker import Kafka
from tests.kafka.cluster import KafkaCluster
from tests.kafka.doors import BEARER
from tests.support.processes import hooklane
from tests.support.site import make_site
from tests.support.webhook_sink import Answer, WebhookSink

TIERS = ("1s", "2s")


def told(kafka: Kafka, properties: dict[str, object]) -> dict[str, str]:
    return {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA__PROPERTIES": json.dumps(properties),
    }


@pytest.fixture(name="authority")
def _authority(kafka_cluster: KafkaCluster, tmp_path: Path) -> dict[str, object]:
    """What a client needs to trust the brokers."""
    file = tmp_path / "authority.pem"
    file.write_bytes(kafka_cluster.authority.pem)
    return {"security.protocol": "ssl", "ssl.ca.location": str(file)}


@pytest.mark.timeout(120)
def test_a_certificate_or_a_token_is_all_that_a_service_needs(
    kafka_cluster: KafkaCluster,
    prefix: str,
    sink: WebhookSink,
    authority: dict[str, object],
    tmp_path: Path,
) -> None:
    """mTLS and OAUTHBEARER: the fan-out comes by the one, the retrier by the other, and what fails
    at first is delivered."""
    client = kafka_cluster.authority.issue("client.example")
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    certificate.write_bytes(client.pem)
    key.write_bytes(client.key_pem)
    by_certificate = authority | {
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(key),
    }
    by_token: dict[str, object] = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": True,
        "sasl.oauthbearer.config": f"principal={BEARER}",
    }
    site = make_site(kafka_cluster.kafka, prefix, tiers=TIERS)
    site.subscribe("a", sink.url("a"))
    sink.answer = lambda hit: Answer(500 if hit.headers["hooklane-attempt"] == "1" else 200)
    with (
        site.fanout(**told(kafka_cluster.mutual, by_certificate)) as fanout,
        site.retrier(
            RETRIER__SPOOL_DIR=str(tmp_path), **told(kafka_cluster.token, by_token)
        ) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        site.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 2)
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 0)
        assert [fanout.terminate(), retrier.terminate()] == [0, 0]


def test_without_a_certificate_the_sentence_names_the_properties(
    kafka_cluster: KafkaCluster, prefix: str, authority: dict[str, object]
) -> None:
    """A user's error: one sentence that says what to change, and an end."""
    site = make_site(kafka_cluster.kafka, prefix)
    done = hooklane(site.environment(**told(kafka_cluster.mutual, authority)), "fanout")
    assert done.returncode == 1
    assert "HOOKLANE_KAFKA__PROPERTIES" in done.stderr.splitlines()[-1]
