"""The configuration of each kind of client, and that librdkafka takes it."""

import pytest

from hooklane.runtime import kafka
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka import Config, KafkaAccess
from hooklane.runtime.kafka_clients import open_admin, open_consumer, open_producer
from hooklane.runtime.kafka_properties import Property

NOBODY = "127.0.0.1:1"
STATIC = KafkaAccess(NOBODY, {}, "fanout-0", 10.0)
DYNAMIC = KafkaAccess(NOBODY, {}, "", 10.0)


def part(config: Config, *names: str) -> dict[str, str | None]:
    return {name: config.get(name) for name in names}


def test_a_group_consumer_reads_what_is_committed_and_commits_nothing_itself() -> None:
    """What the promises rest on, as DESIGN section 3 says it."""
    assert part(
        kafka.group_consumer(STATIC, "g"),
        "group.id",
        "group.instance.id",
        "isolation.level",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "partition.assignment.strategy",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "enable.partition.eof",
    ) == {
        "group.id": "g",
        "group.instance.id": "fanout-0",
        "isolation.level": "read_committed",
        "enable.auto.commit": "false",
        "enable.auto.offset.store": "false",
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": "10000",
        "heartbeat.interval.ms": "3000",
        "enable.partition.eof": "false",
    }


@pytest.mark.parametrize(("session_s", "heartbeat_ms"), [(3.0, "1000"), (30.0, "3000")])
def test_a_long_session_makes_no_slow_rebalance(session_s: float, heartbeat_ms: str) -> None:
    """Membership: three heartbeats fit a session, and who joins waits no longer for the others to
    hear of it because a session is long."""
    access = KafkaAccess("k:9092", session_timeout_s=session_s)
    assert kafka.group_consumer(access, "g")["heartbeat.interval.ms"] == heartbeat_ms


def test_little_is_fetched_ahead() -> None:
    """Promise of bounded memory: librdkafka's defaults hold over 100 MiB of a backlog."""
    for config in (kafka.group_consumer(STATIC, "g"), kafka.internal_consumer(STATIC)):
        assert int(config["queued.max.messages.kbytes"]) <= 16_384
        assert int(config["fetch.message.max.bytes"]) <= 128 * 1024


def test_without_an_instance_id_the_member_is_dynamic() -> None:
    """Membership: no instance id is sent, and two producers get different transactional ids."""
    assert "group.instance.id" not in kafka.group_consumer(DYNAMIC, "g")
    first, second = (kafka.transactional_producer(DYNAMIC, "p", "g") for _ in range(2))
    assert first["transactional.id"].startswith("p-g-")
    assert first["transactional.id"] != second["transactional.id"]


def test_the_consumer_protocol_has_its_timeouts_from_the_broker() -> None:
    """With KIP-848 nothing is sent that librdkafka would refuse, and the member is dynamic."""
    access = KafkaAccess(NOBODY, {"group.protocol": "consumer"}, "fanout-0")
    config = kafka.group_consumer(access, "g")
    classic = {
        "partition.assignment.strategy",
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "group.instance.id",
    }
    assert not classic & config.keys()
    open_consumer(config).close()


def test_an_internal_consumer_is_told_of_ends_and_is_alone_in_its_group() -> None:
    """It reads committed records, hears of partition ends, and no two share a group."""
    first, second = kafka.internal_consumer(STATIC), kafka.internal_consumer(STATIC)
    assert part(first, "isolation.level", "enable.partition.eof", "enable.auto.commit") == {
        "isolation.level": "read_committed",
        "enable.partition.eof": "true",
        "enable.auto.commit": "false",
    }
    assert first["group.id"] != second["group.id"]
    assert "group.instance.id" not in first


@pytest.mark.parametrize("session_s", [1.5, 2.0, 10.0, 45.0])
def test_a_transaction_ends_before_the_session(session_s: float) -> None:
    """A transaction and a message time out before the session does, in this order."""
    access = KafkaAccess(NOBODY, {}, "i", session_s)
    config = kafka.transactional_producer(access, "p", "g")
    message, transaction = (
        int(config[name]) for name in ("message.timeout.ms", "transaction.timeout.ms")
    )
    assert 0 < message < transaction < session_s * 1000
    assert transaction >= 1000
    open_producer(config)


def test_a_session_too_short_for_a_transaction_is_refused() -> None:
    """One sentence names the setting and the least value."""
    with pytest.raises(SettingsError, match="SESSION_TIMEOUT must be at least 1500ms"):
        kafka.transactional_producer(KafkaAccess(NOBODY, {}, "i", 1.4), "p", "g")


def test_the_transactional_id_is_the_processes_name() -> None:
    """Membership: prefix, group and instance make it: a restart fences its former self."""
    config = kafka.transactional_producer(STATIC, "hooklane", "hooklane-fanout")
    assert config["transactional.id"] == "hooklane-hooklane-fanout-fanout-0"
    assert config["retry.backoff.ms"] == "10"


def test_a_plain_producer_waits_for_every_replica() -> None:
    """acks=all and idempotence, without a transaction."""
    config = kafka.plain_producer(STATIC)
    assert part(config, "acks", "enable.idempotence", "transactional.id") == {
        "acks": "all",
        "enable.idempotence": "true",
        "transactional.id": None,
    }


@pytest.mark.parametrize(
    "given",
    [
        {"linger.ms": 50, "fetch.min.bytes": 10, "client.id": "mine", "retry.backoff.ms": 30},
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
        | {"sasl.username": "u", "sasl.password": "p"},
    ],
)
def test_the_users_properties_go_before_our_defaults(given: dict[str, Property]) -> None:
    """A default of ours gives way, every client can be made, and no password is in a repr."""
    access = KafkaAccess(NOBODY, given, "i")
    producer = kafka.transactional_producer(access, "p", "g")
    for name in given.keys() - {"fetch.min.bytes"}:
        assert producer[name] == str(given[name])
    open_producer(producer)
    open_producer(kafka.plain_producer(access))
    open_consumer(kafka.group_consumer(access, "g")).close()
    open_consumer(kafka.internal_consumer(access)).close()
    open_admin(kafka.admin(access))
    assert "sasl" not in repr(access)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"no.such.property": 1}, 'No such configuration property: "no.such.property"'),
        ({"security.protocol": "tls"}, 'Invalid value "tls" for .* "security.protocol"'),
        ({"socket.timeout.ms": 1}, '"socket.timeout.ms" value 1 is outside'),
    ],
)
def test_a_wrong_property_is_named(given: dict[str, Property], words: str) -> None:
    """What librdkafka refuses is a settings error that names the property."""
    config = kafka.admin(KafkaAccess(NOBODY, given))
    with pytest.raises(SettingsError, match=f"^HOOKLANE_KAFKA__PROPERTIES: .*{words}"):
        open_admin(config)
