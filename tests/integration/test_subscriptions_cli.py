"""`hooklane subscriptions` on a real Kafka."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from hooklane.ops.main import run
from hooklane.schemas.book import status_key, status_record
from hooklane.schemas.codec import AUDITS
from hooklane.schemas.records_operator import AuditRecord
from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, Stored, create_topic, produce, read_topic

ONE = """\
id: billing
url: https://hooks.example.com/invoices
match: {topics: [billing.events], types: ["invoice.*"]}
signing: {secrets: ["env:HOOKLANE_SECRET_BILLING"]}
"""
TWO = "id: shipping\nurl: https://hooks.example.com/shipping\n"


class Commands:
    """Runs commands against one config topic, in this process."""

    def __init__(self, kafka: Kafka, topic: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._kafka = kafka
        self._capsys = capsys
        self.topic = topic
        self.err = ""

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        self._capsys.readouterr()
        code = run(["subscriptions", *arguments])
        out, self.err = self._capsys.readouterr()
        assert code == exits, (out, self.err)
        return out

    def records(self) -> list[Stored]:
        return read_topic(self._kafka, self.topic)

    def audit(self) -> list[AuditRecord]:
        topic = self.topic.replace(".subscriptions", ".audit")
        return [AUDITS.decode(one.value or b"") for one in read_topic(self._kafka, topic)]

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("list", "--output", "json"))
        return found


@pytest.fixture
def hooklane(
    kafka: Kafka,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Commands:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("HOOKLANE_TOPICS__PREFIX", prefix)
    topic = create_topic(kafka, f"{prefix}.subscriptions", config={"cleanup.policy": "compact"})
    create_topic(kafka, f"{prefix}.audit")
    return Commands(kafka, topic, capsys)


def put(folder: Path, text: str, name: str = "a.yaml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_apply_creates_configures_and_leaves_alone(hooklane: Commands, tmp_path: Path) -> None:
    """Created with stamps, unchanged without a record, configured with the same stamps."""
    file = put(tmp_path, f"{ONE}---\n{TWO}")
    assert hooklane("apply", "-f", file) == "billing created\nshipping created\n"
    first = [json.loads(record.value or b"") for record in hooklane.records()]
    assert [one["id"] for one in first] == ["billing", "shipping"]
    assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", one["uid"]) for one in first)
    assert all(one["effective_from"].endswith("Z") for one in first)

    assert hooklane("apply", "-f", file) == "billing unchanged\nshipping unchanged\n"
    assert len(hooklane.records()) == 2

    put(tmp_path, f"{ONE}ordering: none\n---\n{TWO}")
    assert hooklane("apply", "-f", file) == "billing configured\nshipping unchanged\n"
    (*_, last) = hooklane.records()
    assert json.loads(last.value or b"") == {**first[0], "ordering": "none"}
    assert last.key == b"billing"


def test_nothing_is_written_if_one_document_is_bad(hooklane: Commands, tmp_path: Path) -> None:
    """All or nothing: every fault is told with its file and path, exit 2, and no record."""
    put(tmp_path, ONE, "a.yaml")
    put(tmp_path, TWO.replace("https", "http") + "retry: {schedule: [7s]}\n", "b.yml")
    assert hooklane("apply", "-f", str(tmp_path), exits=2) == ""
    first, second, summary = hooklane.err.splitlines()
    assert "b.yml: url: must begin with https://" in first
    assert "b.yml: retry.schedule[0]: 7s is not a tier of this service" in second
    assert summary == "Error: The documents have 2 faults, told above: no document was taken."
    assert hooklane.records() == []


def test_diff_exits_as_kubectl_s(hooklane: Commands, tmp_path: Path) -> None:
    """1 and the difference, 0 and nothing, 2 and a sentence; and it writes nothing."""
    file = put(tmp_path, ONE)
    assert "+id: billing" in hooklane("diff", "-f", file, exits=1)
    assert hooklane.records() == []
    hooklane("apply", "-f", file)
    assert hooklane("diff", "-f", file) == ""
    put(tmp_path, ONE.replace("invoice.*", "order.*"))
    lines = hooklane("diff", "-f", file, exits=1).splitlines()
    assert [line for line in lines if re.match("[+-] ", line)] == ["-  - invoice.*", "+  - order.*"]
    put(tmp_path, "id: [")
    assert hooklane("diff", "-f", file, exits=2) == ""
    assert "a.yaml is not YAML" in hooklane.err


def test_pause_resume_and_disable_rewrite_the_state(hooklane: Commands, tmp_path: Path) -> None:
    """Each writes the document with its state, once; an unknown id is told."""
    hooklane("apply", "-f", put(tmp_path, ONE))
    assert hooklane("pause", "billing") == "billing paused\n"
    assert hooklane("pause", "billing") == "billing unchanged\n"
    assert hooklane("disable", "billing") == "billing disabled\n"
    assert hooklane("resume", "billing", "--by", "ada", "--why", "it is back") == (
        "billing resumed\n"
    )
    states = [json.loads(record.value or b"").get("state") for record in hooklane.records()]
    assert states == [None, "paused", "disabled", "active"]
    hooklane("pause", "billing", "nobody", exits=2)
    assert "There is no subscription nobody" in hooklane.err
    audit = hooklane.audit()
    # What changed nothing did nothing.
    done = [f"subscriptions {word}" for word in ("apply", "pause", "disable", "resume")]
    assert [one.action for one in audit] == done
    last = audit[-1]
    assert (last.by, last.why, last.subscription, last.count) == ("ada", "it is back", "billing", 1)
    assert last.command.startswith("hooklane subscriptions resume billing --by ada")


def test_delete_asks_or_takes_yes(hooklane: Commands, tmp_path: Path) -> None:
    """Without a terminal `--yes` is needed; a subscription made again has another uid."""
    hooklane("apply", "-f", put(tmp_path, ONE))
    hooklane("delete", "billing", exits=2)
    assert "--yes" in hooklane.err
    assert hooklane("delete", "billing", "--yes") == "billing deleted\n"
    assert [(one.key, one.value) for one in hooklane.records()[1:]] == [
        (b"billing", None),
        (b"billing/status", None),
    ]
    assert hooklane("list", "--output", "json") == "[]\n"
    hooklane("delete", "billing", "--yes", exits=2)
    assert hooklane("apply", "-f", put(tmp_path, ONE)) == "billing created\n"
    documents = [json.loads(one.value) for one in hooklane.records() if one.value]
    assert documents[0]["uid"] != documents[1]["uid"]


def test_list_shows_bad_ones_and_those_a_410_disabled(
    hooklane: Commands, kafka: Kafka, tmp_path: Path
) -> None:
    """Whatever is in the topic, `list` and `show` work, and `resume` ends a 410."""
    hooklane("apply", "-f", put(tmp_path, ONE))
    rubbish = [
        Outgoing(*status_record("billing", 0, "410 Gone", "2026-11-01T00:00:00Z")),
        Outgoing(b"broken", b"{"),
        Outgoing(b"newer", b'{"format": 9}'),
        Outgoing(b"No Id", b"{}"),
    ]
    produce(kafka, hooklane.topic, rubbish)
    rows = {row["id"]: row for row in hooklane.listed()}
    assert sorted(rows) == ["No Id", "billing", "broken", "newer"]
    assert rows["billing"]["disabled"]["reason"] == "410 Gone"
    assert rows["billing"]["topics"] == ["billing.events"]
    assert rows["broken"]["state"] == "bad"
    assert rows["newer"]["bad"]["unknown_format"] is True
    table = hooklane("list").splitlines()
    assert table[0].split() == ["ID", "STATE", "URL", "TOPICS", "TYPES", "NOTE"]
    assert len(table) == 5

    shown = hooklane("show", "billing")
    assert "# disabled by its receiver at 2026-11-01T00:00:00Z: 410 Gone" in shown
    assert "- env:HOOKLANE_SECRET_BILLING" in shown
    record = json.loads(hooklane("show", "broken", "--output", "json"))
    assert (record["document"], record["bad"]["offset"]) == (None, 2)
    hooklane("show", "nobody", exits=2)

    assert hooklane("resume", "billing") == "billing resumed\n"
    rows = {row["id"]: row for row in hooklane.listed()}
    assert rows["billing"]["disabled"] is None
    assert hooklane("delete", "broken", "--yes") == "broken deleted\n"


def test_plain_text_secrets_are_shown_as_set(
    hooklane: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a setting allows them they work, and no command prints them."""
    document = ONE.replace("env:HOOKLANE_SECRET_BILLING", "whsec_canary")
    file = put(tmp_path, document)
    hooklane("apply", "-f", file, exits=2)
    assert "signing.secrets[0]: is a secret in plain text" in hooklane.err
    assert "canary" not in hooklane.err
    monkeypatch.setenv("HOOKLANE_SECRETS__ALLOW_PLAINTEXT", "true")
    diff = hooklane("diff", "-f", file, exits=1)
    hooklane("apply", "-f", file)
    shown = hooklane("show", "billing"), hooklane("show", "billing", "--output", "json")
    assert "canary" not in f"{diff} {shown} {hooklane('list', '--output', 'json')}"
    assert "- set" in shown[0]
    assert b"whsec_canary" in (hooklane.records()[0].value or b"")


def test_a_status_record_under_an_open_transaction(
    hooklane: Commands, kafka: Kafka, prefix: str, tmp_path: Path
) -> None:
    """What a transaction has not yet committed is waited for; what it aborted is not seen."""
    hooklane("apply", "-f", put(tmp_path, ONE))
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{prefix}-tx"}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(hooklane.topic, b"{", status_key("billing"), partition=0)
    producer.flush(30)
    producer.abort_transaction(30)
    (row,) = hooklane.listed()
    assert (row["bad"], row["disabled"]) == (None, None)


def test_as_a_program_with_stdin(hooklane: Commands, tmp_path: Path) -> None:
    """`apply -f -` in a process of its own reads stdin; a wrong use ends with 2."""

    def program(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hooklane.ops.main", "subscriptions", *arguments],
            input=stdin,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = program("apply", "-f", "-", stdin=ONE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "billing created\n", "")
    assert program("apply").returncode == 2


def test_validate_needs_no_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Documents are judged by the settings alone; a broker is not asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("HOOKLANE_RETRY__TIERS", '["1s", "2s"]')
    file = put(tmp_path, f"{ONE}retry: {{schedule: [2s, 2s]}}\n")
    assert run(["subscriptions", "validate", "-f", file]) == 0
    assert capsys.readouterr().out == "billing valid\n"


def test_failures_are_one_sentence(
    kafka: Kafka, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A missing topic and a broker that is away: exit 1, what to change, and no more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOKLANE_TOPICS__PREFIX", prefix)
    monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    assert run(["subscriptions", "list"]) == 1
    out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "hooklane topics apply" in err

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", f"127.0.0.1:{taken.getsockname()[1]}"
        )
        assert run(["subscriptions", "diff", "-f", put(tmp_path, ONE)]) == 2
        out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 1), err
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in err
