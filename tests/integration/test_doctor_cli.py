"""`hooklane doctor` on a real Kafka, where no service runs."""

import json
import time
from contextlib import closing
from typing import Any

import pytest

from hooklane.ops.doctor_findings import FIELDS
from hooklane.runtime import kafka as configs
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_consumer
from tests.kafka.records import Outgoing
from tests.support.operator_commands import Operator
from tests.support.site import Site


@pytest.fixture
def operator(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Operator:
    return Operator(site, monkeypatch, capsys)


def test_everything_is_looked_at(site: Site, operator: Operator) -> None:
    """Topics and rights are well; no service runs, a document is bad, a secret is not there, a
    record is of a time to come: each is said with what to do, and the exit code is 1."""
    site.subscribe("billing", "https://h.example/", signing={"secrets": ["file:none"]})
    site.configure(b"broken", b'{"id": "broken"}')
    ahead_ms = time.time_ns() // 1_000_000 + 600_000
    site.publish([Outgoing(b"k", b"{}", timestamp_ms=ahead_ms)])
    rows: Any = json.loads(operator("doctor", "--output", "json", exits=1))
    assert {tuple(row) for row in rows} == {FIELDS}
    found = {(row["check"], row["subject"]): row["status"] for row in rows}
    wrong = {(row["check"], row["subject"]) for row in rows if row["status"] == "wrong"}
    assert wrong == {
        ("subscriptions", "broken"),
        ("secrets", "billing signing.secrets[0]"),
        ("groups", f"{site.prefix}-fanout"),
        ("groups", f"{site.prefix}-retrier"),
    }
    assert found["clock", site.events] == "warning"
    assert found["topics", site.prefix] == found["rights", "topics"] == "ok"
    assert found["rights", "groups"] == "ok"
    assert all(row["todo"] for row in rows if row["status"] in {"wrong", "warning"})


def test_partitions_that_no_member_has_are_named(site: Site, operator: Operator) -> None:
    """The group is stable, and its one member was given other partitions only."""
    access = KafkaAccess(site.kafka.bootstrap_servers)
    config = configs.group_consumer(access, f"{site.prefix}-fanout")
    with closing(open_consumer(config)) as consumer:
        consumer.subscribe([site.names.lanes])
        deadline = time.monotonic() + 30
        while not consumer.assignment():
            consumer.poll(0.1)
            assert time.monotonic() < deadline
        rows: Any = json.loads(operator("doctor", "--output", "json", exits=1))
    said = {row["said"]: row["todo"] for row in rows if row["subject"] == f"{site.prefix}-fanout"}
    named = ", ".join(f"{site.events}[{number}]" for number in range(4))
    assert "start one more `hooklane fanout`" in said[f"partitions without an owner: {named}"]
