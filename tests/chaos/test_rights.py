"""What a running installation may do at the brokers changes: passwords, rights, certificates."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.chaos.keeper import Keeper, Kept
from tests.chaos.stage import Stage, stage, until
from tests.kafka.broker import Kafka
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import admin_of
from tests.support.processes import ServiceProcess, hooklane
from tests.support.receiver_tls import DAY, NOW

pytestmark = pytest.mark.slow

_ANSWER_S = 30.0


def set_password(kafka: Kafka, user: str, password: str) -> None:
    credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    change = UserScramCredentialUpsertion(user, credential, password.encode())
    admin = admin_of(kafka)
    for done in admin.alter_user_scram_credentials([change]).values():
        done.result(_ANSWER_S)


def rights(prefix: str, user: str) -> list[AclBinding]:
    """All that an installation of this prefix needs, and nothing beyond it."""
    wanted = {
        ResourceType.TOPIC: prefix,
        ResourceType.GROUP: prefix,
        ResourceType.TRANSACTIONAL_ID: prefix,
    }
    return [
        *(
            binding(kind, name, user, AclOperation.ALL, AclPermissionType.ALLOW)
            for kind, name in wanted.items()
        ),
        # The readers' groups are never joined, and have a name of their own.
        binding(
            ResourceType.GROUP,
            "hooklane-reader-",
            user,
            AclOperation.READ,
            AclPermissionType.ALLOW,
        ),
    ]


def binding(
    kind: ResourceType,
    name: str,
    user: str,
    operation: AclOperation,
    permission: AclPermissionType,
) -> AclBinding:
    return AclBinding(
        kind, name, ResourcePatternType.PREFIXED, f"User:{user}", "*", operation, permission
    )


def grant(kafka: Kafka, bindings: list[AclBinding]) -> None:
    admin = admin_of(kafka)
    for done in admin.create_acls(bindings).values():
        done.result(_ANSWER_S)


def withdraw(kafka: Kafka, one: AclBinding) -> None:
    exactly = AclBindingFilter(
        one.restype,
        one.name,
        one.resource_pattern_type,
        one.principal,
        one.host,
        one.operation,
        one.permission_type,
    )
    admin = admin_of(kafka)
    [done] = admin.delete_acls([exactly]).values()
    assert done.result(_ANSWER_S)


def doctor(environ: Mapping[str, str], check: str, subject: str) -> tuple[str, str]:
    """What `hooklane doctor` found, and what it says is to be done."""
    done = hooklane(environ, "doctor", "--output", "json")
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    [row] = [one for one in rows if (one["check"], one["status"]) == (check, "wrong")]
    assert row["subject"].startswith(subject)
    return row["said"], row["todo"]


def by_password(kafka: Kafka, user: str, password: str) -> dict[str, str]:
    """What a service is told that comes by the SASL doors."""
    properties = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": password,
    }
    return {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA__PROPERTIES": json.dumps(properties),
    }


@contextmanager
def pair(
    flowing: Stage, spool: Path, told: Mapping[str, str]
) -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    """Both services, ready."""
    with (
        flowing.site.fanout(**told) as fanout,
        flowing.site.retrier(RETRIER__SPOOL_DIR=str(spool), **told) as retrier,
    ):
        fanout.wait_ready()
        retrier.wait_ready()
        yield fanout, retrier


@pytest.mark.timeout(200)
def test_a_rotated_password(kafka_cluster: KafkaCluster, prefix: str, tmp_path: Path) -> None:
    """Open connections live on, new ones are refused in a sentence; the new password heals it."""
    cluster, user = kafka_cluster, f"{prefix}-user"
    set_password(cluster.kafka, user, "before")
    grant(cluster.kafka, rights(prefix, user))
    with stage(cluster.kafka, prefix) as flowing:
        with pair(flowing, tmp_path, by_password(cluster.sasl, user, "before")) as services:
            flowing.settle()
            # From here on deliveries may stand still: a connection that is opened now is refused.
            set_password(cluster.kafka, user, "after")
            refused = hooklane(
                flowing.site.environment(**by_password(cluster.sasl, user, "before")), "fanout"
            )
            assert refused.returncode == 1
            assert "uthentication" in refused.stderr.splitlines()[-1]
            old = flowing.site.environment(**by_password(cluster.sasl, user, "before"))
            said, todo = doctor(old, "broker", cluster.sasl.bootstrap_servers)
            assert "does not take the user" in said
            assert "sasl.password" in todo
            # What is open is lost with its broker, and cannot be opened again.
            cluster.stop(1)
            cluster.start(1)
            assert [one.exit_code for one in services] == [None, None]
        with pair(flowing, tmp_path, by_password(cluster.sasl, user, "after")) as services:
            flowing.finish()
            assert [one.terminate() for one in services] == [0, 0]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("topic", ["backlog", "lanes"])
def test_a_right_that_is_taken_away(
    kafka_cluster: KafkaCluster, prefix: str, tmp_path: Path, topic: str
) -> None:
    """Writing is refused: a service waits or ends with the reason; given back, all arrives."""
    cluster, user = kafka_cluster, f"{prefix}-user"
    set_password(cluster.kafka, user, "secret")
    grant(cluster.kafka, rights(prefix, user))
    denied = binding(
        ResourceType.TOPIC,
        f"{prefix}.{topic}",
        user,
        AclOperation.WRITE,
        AclPermissionType.DENY,
    )
    told = by_password(cluster.sasl, user, "secret") | {"RETRIER__SPOOL_DIR": str(tmp_path)}
    endings: Counter[str] = Counter()
    with stage(cluster.kafka, prefix) as flowing:
        fanout = Kept(flowing.site.fanout(**told), None, endings)
        retrier = Kept(flowing.site.retrier(**told), tmp_path, endings)
        with Keeper({"fanout": [fanout], "retrier": [retrier]}) as keeper:
            flowing.settle()
            grant(cluster.kafka, [denied])
            logs = [kept.process.log for kept in keeper.all]
            # Not of both: a retrier has nothing to write while the backlog takes nothing.
            until(lambda: any("uthorization failed" in log() for log in logs), seconds=30.0)
            said, todo = doctor(flowing.site.environment(**told), "rights", f"{prefix}.{topic}")
            assert (said, "--operation Write" in todo) == ("may not write", True)
            withdraw(cluster.kafka, denied)
            flowing.finish()
            assert all("rights" in why for why in endings), endings
            for kept in keeper.all:
                kept.terminate()


@pytest.mark.timeout(200)
def test_the_brokers_certificate_is_rotated_and_expires(
    kafka_cluster: KafkaCluster, prefix: str, tmp_path: Path
) -> None:
    """Another good one is not noticed; an expired one is said, and only delays."""
    cluster = kafka_cluster
    authority = tmp_path / "authority.pem"
    authority.write_bytes(cluster.authority.pem)
    properties = {"security.protocol": "ssl", "ssl.ca.location": str(authority)}
    told = {
        "KAFKA__BOOTSTRAP_SERVERS": cluster.tls.bootstrap_servers,
        "KAFKA__PROPERTIES": json.dumps(properties),
    }
    with stage(cluster.kafka, prefix) as flowing, pair(flowing, tmp_path / "s", told) as services:
        flowing.settle()
        cluster.show_certificate(cluster.authority.issue("127.0.0.1"))
        flowing.settle()
        cluster.show_certificate(cluster.authority.issue("127.0.0.1", NOW - DAY))
        refused = hooklane(flowing.site.environment(**told), "fanout")
        assert refused.returncode == 1
        assert "certificate" in refused.stderr.splitlines()[-1]
        said, _ = doctor(flowing.site.environment(**told), "broker", "127.0.0.1")
        assert "the broker's certificate has expired" in said
        cluster.stop(1)
        cluster.start(1)
        assert [one.exit_code for one in services] == [None, None]
        cluster.show_certificate(cluster.authority.issue("127.0.0.1", NOW + dt.timedelta(hours=9)))
        flowing.finish()
        assert [one.terminate() for one in services] == [0, 0]
