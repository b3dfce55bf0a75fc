"""`hooklane topics apply` and `check`, and what a service says of its topics, on a real broker."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from hooklane.ops.main import run
from hooklane.runtime.errors import TopicsError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.runtime.topic_apply import Deed, apply_topics, check_topics, verify_topics
from hooklane.runtime.topic_check import Finding
from hooklane.runtime.topic_plan import ENVELOPE_BYTES, TopicPlan
from hooklane.schemas.topics import Delay, TopicNames
from tests.kafka.broker import Kafka
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import create_topic

TIERS = (Delay.parse("5s"), Delay.parse("30s"))


@pytest.fixture
def admin(kafka: Kafka) -> KafkaAdmin:
    return KafkaAdmin(KafkaAccess(kafka.bootstrap_servers))


@pytest.fixture
def plan(prefix: str) -> TopicPlan:
    return TopicPlan(TopicNames(prefix), 3, -1, TIERS, (f"{prefix}-events",))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.out)
        return found


Command = Callable[..., Ran]


@pytest.fixture
def topics(
    kafka: Kafka,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs `hooklane topics` with settings for this test's prefix."""
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("HOOKLANE_TOPICS__PREFIX", prefix)
    monkeypatch.setenv("HOOKLANE_TOPICS__PARTITIONS", "3")
    monkeypatch.setenv("HOOKLANE_RETRY__TIERS", '["5s", "30s"]')

    def ran(*arguments: str) -> Ran:
        code = run(["topics", *arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return ran


def set_config(admin: KafkaAdmin, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.answer(admin.client.incremental_alter_configs([resource])[resource], "alter")


def found_until(admin: KafkaAdmin, plan: TopicPlan, count: int) -> list[Finding]:
    """The findings, once brokers show as many; a change takes moments to reach them all."""
    deadline = time.monotonic() + 10.0
    while len(findings := check_topics(admin, plan)) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    return findings


def test_apply_makes_everything_once_and_check_agrees(topics: Command, prefix: str) -> None:
    """On an empty broker apply makes each topic; after that neither has anything to say."""
    names = set(TopicNames(prefix).all(TIERS))
    before = topics("check", "--output", "json")
    assert (before.code, {row["topic"] for row in before.rows()}) == (1, names)
    applied = topics("apply", "--output", "json")
    assert applied.code == 0
    assert {(row["topic"], row["done"]) for row in applied.rows()} == {
        (n, "created") for n in names
    }
    assert topics("check", "--output", "json") == Ran(0, "[]\n", "")
    assert topics("apply", "--output", "json") == Ran(0, "[]\n", "")
    assert topics("check").err == "Every topic is as it must be.\n"
    assert topics("apply").err.startswith("Nothing to do")


def test_another_n_is_refused_by_apply_with_a_sentence(
    topics: Command, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions are never added: apply fails, says why and what to set, and changes nothing."""
    assert topics("apply").code == 0
    monkeypatch.setenv("HOOKLANE_TOPICS__PARTITIONS", "6")
    refused = topics("apply")
    assert refused.code == 1
    assert "would move lanes: set HOOKLANE_TOPICS__PARTITIONS to 3" in refused.err
    assert refused.out == ""
    monkeypatch.setenv("HOOKLANE_TOPICS__PARTITIONS", "3")
    assert topics("check").code == 0


def test_an_unreachable_broker_is_one_sentence(
    topics: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command fails with the setting's name and prints nothing else."""
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    ran = topics("check")
    assert (ran.code, ran.out) == (1, "")
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("topic", "name", "value"),
    [
        ("backlog", "cleanup.policy", "delete"),
        ("lanes", "segment.ms", "86400000"),
        ("retry.5s", "retention.ms", "60000"),
        ("attempts", "retention.bytes", "1000000"),
        ("subscriptions", "min.compaction.lag.ms", "0"),
        ("dead-letters", "max.message.bytes", "1000000"),
        ("retry.30s", "unclean.leader.election.enable", "true"),
    ],
)
def test_damage_is_named_and_mended(
    admin: KafkaAdmin, plan: TopicPlan, topic: str, name: str, value: str
) -> None:
    """A setting that was changed is found under its name; apply sets that one alone back."""
    apply_topics(admin, plan)
    clean = check_topics(admin, plan)
    damaged = f"{plan.names.prefix}.{topic}"
    set_config(admin, damaged, name, value)
    findings = found_until(admin, plan, len(clean) + 1)
    (found,) = [one for one in findings if one not in clean]
    assert (found.topic, found.what, found.found) == (damaged, name, value)
    (change,) = apply_topics(admin, plan)
    assert (change.topic, change.deed) == (damaged, Deed.ALTERED)
    assert change.detail.startswith(f"{name}=")
    assert check_topics(admin, plan) == clean


def test_the_operators_retention_is_left_alone(admin: KafkaAdmin, plan: TopicPlan) -> None:
    """How long attempts and dead letters are kept is set once, and the operator's afterwards."""
    apply_topics(admin, plan)
    topic = plan.names.attempts
    assert admin.configs([topic])[topic]["retention.ms"] == str(7 * 86_400_000)
    set_config(admin, topic, "retention.ms", "86400000")
    assert apply_topics(admin, plan) == []
    assert admin.configs([topic])[topic]["retention.ms"] == "86400000"


def test_a_larger_event_raises_the_backlogs_limit(
    kafka: Kafka, admin: KafkaAdmin, plan: TopicPlan
) -> None:
    """An event topic that takes larger records makes the backlog too small, until apply."""
    apply_topics(admin, plan)
    create_topic(kafka, plan.event_topics[0], config={"max.message.bytes": "7000000"})
    with pytest.raises(TopicsError, match=r"backlog has max\.message\.bytes .*topics apply"):
        verify_topics(admin, plan)
    apply_topics(admin, plan)
    assert verify_topics(admin, plan).backlog_max_bytes == 7_000_000 + ENVELOPE_BYTES


def test_a_service_refuses_what_would_break_a_promise(admin: KafkaAdmin, plan: TopicPlan) -> None:
    """A missing topic stops the start with one sentence; a slow setting does not."""
    with pytest.raises(
        TopicsError, match=r"^Topic .* is missing, or .*`hooklane topics apply` mends"
    ):
        verify_topics(admin, plan)
    apply_topics(admin, plan)
    set_config(admin, plan.names.lanes, "segment.ms", "86400000")
    slow = found_until(admin, plan, 2)
    assert [one.vital for one in slow] == [False, False]
    assert verify_topics(admin, plan).backlog_max_bytes > 2**20


def test_three_brokers_get_two_in_sync_replicas(kafka_cluster: KafkaCluster, prefix: str) -> None:
    """On a real cluster every topic has copies and needs two of them; a weaker one is found."""
    admin = KafkaAdmin(KafkaAccess(kafka_cluster.bootstrap_servers))
    plan = TopicPlan(TopicNames(prefix), 2, -1, TIERS[:1])
    apply_topics(admin, plan)
    assert check_topics(admin, plan) == []
    own = list(plan.names.all(plan.tiers))
    assert {one["min.insync.replicas"] for one in admin.configs(own).values()} == {"2"}
    assert {admin.layouts()[name].replicas for name in own} == {3}
    set_config(admin, plan.names.backlog, "min.insync.replicas", "1")
    (finding,) = found_until(admin, plan, 1)
    assert (finding.topic, finding.what) == (plan.names.backlog, "min.insync.replicas")
