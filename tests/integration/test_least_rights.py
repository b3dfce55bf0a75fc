"""The whole chart beside a Kafka that is locked down, as the kubelet would run it."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin._acl import AclBinding, AclOperation
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from standardwebhooks.webhooks import Webhook

from hooklane.runtime.secrets_enc import EncryptionKeys, read_key
from tests.kafka.broker import free_ports
from tests.kafka.cluster import KafkaCluster
from tests.kafka.records import Outgoing, create_topic, produce, read_topic
from tests.kafka.rights import binding, grant, set_password
from tests.support.chart_release import ChartRelease
from tests.support.console_client import logged_in, page
from tests.support.helm import LEAST, NAMESPACE, Helm, over
from tests.support.processes import ServiceProcess, hooklane, hooklane_ok
from tests.support.webhook_sink import Answer, WebhookSink

USERS = ("fanout", "retrier", "deployer", "operator")
ROLES = {one: one for one in ("fanout", "retrier", "operator")} | dict.fromkeys(
    ("setup", "subscriptions", "publisher"), "deployer"
)
SIGNING = "whsec_" + base64.b64encode(b"canary of a signing secret, 32 b").decode()
KEY = base64.b64encode(b"canary of the key of enc secrets").decode()
TOKEN = "canary-of-a-bearer-token"
CONSOLE = "canary-of-the-console-s-token"
SEALED = "whsec_" + base64.b64encode(b"canary of an encrypted secret...").decode()


def secrets_of(cluster: KafkaCluster, prefix: str) -> dict[str, dict[str, str]]:
    """The namespace's Secrets; each value that begins so is a canary."""
    users = {
        f"{user}-user": {"username": f"{prefix}-{user}", "password": f"canary-password-of-{user}"}
        for user in USERS
    }
    return users | {
        "brokers-ca": {"ca.crt": cluster.authority.pem.decode()},
        "subscribers": {"billing": SIGNING, "token": TOKEN},
        "test-signing": {"secret": SIGNING},
        "enc": {"keys": KEY},
        "console": {"token": CONSOLE},
    }


def canaries() -> Iterator[str]:
    yield from (f"canary-password-of-{user}" for user in USERS)
    for secret in (SIGNING, KEY, SEALED):
        yield secret.removeprefix("whsec_")
    yield from (TOKEN, CONSOLE, "canary of a")


def allow(cluster: KafkaCluster, prefix: str, environ: Mapping[str, str]) -> int:
    """Every right that `hooklane topics acls` prints; gives how many."""
    principals = [f"--principal={role}=User:{prefix}-{user}" for role, user in ROLES.items()]
    roles = [f"--role={role}" for role in ROLES]
    rows = json.loads(
        hooklane_ok(environ, "topics", "acls", *principals, *roles, "--output", "json")
    )
    found = [one for row in rows for one in bindings(row)]
    grant(cluster.kafka, found)
    return len(found)


def bindings(row: Mapping[str, Any]) -> Iterator[AclBinding]:
    kind = ResourceType[row["resource"].upper().replace("-", "_")]
    pattern = ResourcePatternType[row["pattern"].upper()]
    user = row["principal"].removeprefix("User:")
    for operation in row["operations"]:
        done = AclOperation[OPERATIONS[operation]]
        yield binding(kind, row["name"], user, done, pattern=pattern)


OPERATIONS = {
    "Read": "READ",
    "Write": "WRITE",
    "Create": "CREATE",
    "Describe": "DESCRIBE",
    "DescribeConfigs": "DESCRIBE_CONFIGS",
    "AlterConfigs": "ALTER_CONFIGS",
    "Delete": "DELETE",
}


@pytest.mark.timeout(180)
def test_exactly_the_printed_rights_are_enough(
    helm: Helm, kafka_cluster: KafkaCluster, prefix: str, tmp_path: Path, sink: WebhookSink
) -> None:
    """Without them a service ends with a sentence. With them, over TLS and SCRAM, each with its own
    user: jobs make topics and apply and prune subscriptions, both services deliver, retry, give up
    and note a 410, `helm test` sees its event come back, and the console lets an operator see what
    was given up. No secret is in anything that came out."""
    cluster, plain = kafka_cluster, kafka_cluster.kafka
    events = create_topic(plain, f"{prefix}-events", 4)
    for user in USERS:
        set_password(plain, f"{prefix}-{user}", f"canary-password-of-{user}")
    receiver, *ports = free_ports(4)
    values = values_for(cluster, prefix, events, ports, sink)
    values["test"]["url"] = f"http://127.0.0.1:{receiver}/"
    release = ChartRelease(helm, over(LEAST, values), tmp_path, secrets_of(cluster, prefix))
    setup = release.environment("Job", "topics")

    refused = hooklane(release.environment("StatefulSet", "fanout"), "fanout")
    assert refused.returncode == 1
    came_out = [refused.stdout, refused.stderr]
    assert "is missing, or this user may not see it" in refused.stderr.splitlines()[-1]
    assert allow(cluster, prefix, setup) > 30

    came_out.append(release.run("Job", "topics"))
    gone = b'{"id": "gone", "url": "https://gone.example/"}'
    produce(plain, f"{prefix}.subscriptions", [Outgoing(b"gone", gone)])
    sink.answer = answer
    with release.service("fanout") as fanout, release.service("retrier") as retrier:
        services = (fanout, retrier)
        applied = release.run("Job", "subscriptions")
        assert "+id: billing" in applied
        assert "gone deleted" in applied
        for one in services:
            one.wait_ready()
        header = (("event-type", b"order.paid"),)
        produce(plain, events, [Outgoing(b"c-1", b'{"amount": 1}', header)])
        sink.wait_for(lambda: len(sink.of("flaky")) == 2 and len(sink.of("failing")) == 3)
        for name, secret in (("billing", SIGNING), ("flaky", SEALED)):
            hit = sink.of(name)[-1]
            assert Webhook(secret).verify(hit.body, hit.headers) == {"amount": 1}
        assert sink.of("billing")[0].headers["authorization"] == f"Bearer {TOKEN}"
        names = {
            f"rel-hooklane-{one}.{NAMESPACE}.svc": "127.0.0.1" for one in ("fanout", "retrier")
        }
        names["--port 8090"] = f"--port {receiver}"
        said = release.run("Pod", "test", **names)
        assert "fanout: 1 ready\nretrier: 1 ready\n" in said
        assert "A signed event came back." in said
        statuses = read_topic(plain, f"{prefix}.subscriptions")
        assert b"leaving/status" in {one.key for one in statuses}
        retrier.wait_for(lambda: retrier.metric("hooklane_dead_letters_total") >= 1)
        came_out += [applied, said, *map(seen_of, services), *in_the_console(release)]
        assert [one.terminate() for one in services] == [0, 0]
        logs = [one.log() for one in services]
    assert not [line for log in logs for line in log.splitlines() if "uthorization failed" in line]
    came_out += [*logs, in_topics(cluster, prefix)]
    for canary in canaries():
        assert canary not in "".join(came_out)


def in_the_console(release: ChartRelease) -> Iterator[str]:
    """Its pages of what was given up, which an operator redrives, and its log."""
    with release.service("console") as console:
        console.wait_ready()
        with logged_in(console, CONSOLE) as client:
            letters = page(client, "/dead-letters?subscription=failing")
            assert "exhausted" in letters
            yield letters
            yield page(client, "/")
            yield page(client, "/redrive?subscription=failing")
        assert console.terminate() == 0
        assert "uthorization failed" not in console.log()
        yield console.log()


def answer(hit: Any) -> Answer:
    """By the receiver: always, after one refusal, never, or never again."""
    match hit.path.rpartition("/")[2], hit.headers["hooklane-attempt"]:
        case ("failing", _) | ("flaky", "1"):
            return Answer(503)
        case ("leaving", _):
            return Answer(410)
        case _:
            return Answer()


def seen_of(service: ServiceProcess) -> str:
    """What anybody on the machine, and Prometheus, may see of it; a crash would leave no core."""
    limits = Path(f"/proc/{service.pid}/limits").read_text()
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)
    command = Path(f"/proc/{service.pid}/cmdline").read_text()
    return command + service.get("/metrics")[1] + service.get("/readyz")[1]


def in_topics(cluster: KafkaCluster, prefix: str) -> str:
    """All that is in Hooklane's own topics."""
    topics = ("subscriptions", "backlog", "lanes", "attempts", "dead-letters", "retry.1s")
    records = [one for name in topics for one in read_topic(cluster.kafka, f"{prefix}.{name}")]
    assert len(records) > 10
    held = [(one.key or b"") + (one.value or b"") for one in records]
    return b"".join(held).decode(errors="replace")


def values_for(
    cluster: KafkaCluster, prefix: str, events: str, ports: list[int], sink: WebhookSink
) -> dict[str, Any]:
    """Settings that fit many installations on one machine, and a user for each component."""
    sasl = {"mechanism": "SCRAM-SHA-256", "existingSecret": "deployer-user"}
    sealed = EncryptionKeys([read_key(KEY)]).encrypt(SEALED.encode())
    signing = {
        "billing": "env:HOOKLANE_SECRET_BILLING",
        **dict.fromkeys(("flaky", "failing", "leaving"), sealed),
    }
    documents: list[dict[str, Any]] = [
        {
            "id": name,
            "url": sink.url(name),
            "match": {"types": ["order.paid"]},
            "signing": {"secrets": [secret]},
        }
        for name, secret in signing.items()
    ]
    documents[0]["auth"] = {"bearer": {"token": "file:billing-token"}}
    return {
        "settings": {
            "kafka": {"bootstrap_servers": cluster.secured.bootstrap_servers},
            "topics": {"prefix": prefix, "partitions": 4},
            "fanout": {"topics": [events], "group_id": f"{prefix}-fanout"},
            "retrier": {"group_id": f"{prefix}-retrier"},
            "retry": {"tiers": ["1s", "2s"]},
            "delivery": {"allow_http": True, "allow_networks": ["127.0.0.0/8"]},
            "http": {"host": "127.0.0.1"},
            "log": {"level": "debug"},
        },
        "kafka": {
            "sasl": sasl,
            "tls": {"enabled": True, "ca": {"existingSecret": "brokers-ca"}},
        },
        "fanout": {
            "settings": {"http": {"port": ports[0]}},
            "kafka": {"sasl": {"existingSecret": "fanout-user"}},
        },
        "retrier": {
            "settings": {"http": {"port": ports[1]}},
            "kafka": {"sasl": {"existingSecret": "retrier-user"}},
        },
        "console": {
            "enabled": True,
            "token": {"existingSecret": "console"},
            "settings": {"console": {"host": "127.0.0.1", "port": ports[2]}},
            "kafka": {"sasl": {"existingSecret": "operator-user"}},
        },
        "secrets": {
            "env": [
                {
                    "name": "HOOKLANE_SECRET_BILLING",
                    "existingSecret": "subscribers",
                    "key": "billing",
                }
            ],
            "files": [{"name": "billing-token", "existingSecret": "subscribers", "key": "token"}],
            "encryptionKeys": {"existingSecret": "enc"},
        },
        "subscriptions": {"documents": documents, "prune": True},
        "test": {"topic": events, "signing": {"existingSecret": "test-signing"}},
    }
