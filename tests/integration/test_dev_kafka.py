"""`hooklane dev --kafka` on a real Kafka: it makes what is missing, and nothing of others goes."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Kafka
from tests.kafka.records import Outgoing, create_topic, produce, read_topic
from tests.support.by_hand import Program, started
from tests.support.processes import environment, hooklane_ok
from tests.support.webhook_sink import WebhookSink

SOON_S = 40.0


@contextmanager
def dev_on(kafka: Kafka, prefix: str, folder: Path) -> Iterator[Program]:
    """It runs on this Kafka, under a prefix of this test's; its exit code has to be 0."""
    environ = {"HOOKLANE_TOPICS__PREFIX": prefix}
    arguments = ("dev", "subs", "--kafka", kafka.bootstrap_servers, "--no-receiver")
    with started(*arguments, cwd=folder, environ=environ) as dev:
        yield dev
        dev.process.send_signal(signal.SIGINT)
        assert dev.end(20) == 0, dev.said
    assert "Traceback" not in dev.said


def document(name: str, url: str, topic: str) -> str:
    return f"id: {name}\nurl: {url}\nmatch: {{topics: [{topic}]}}\n"


def test_from_nothing_to_an_event(
    kafka: Kafka, prefix: str, sink: WebhookSink, tmp_path: Path
) -> None:
    """Topics are made and named; what comes goes out; a second run repeats nothing of the first."""
    orders, bills = f"{prefix}-orders", f"{prefix}-bills"
    create_topic(kafka, orders, 2)
    subs = tmp_path / "subs"
    subs.mkdir()
    (subs / "one.yaml").write_text(document("one", sink.url("one"), orders))
    produce(kafka, orders, [Outgoing(b"k", b"before")])
    with dev_on(kafka, prefix, tmp_path) as dev:
        dev.wait_for("ready, for example for:")
        assert f"topic {prefix}.backlog created: partitions=4" in dev.said
        assert orders not in dev.said.partition("ready,")[0]
        produce(kafka, orders, [Outgoing(b"k", b"first")])
        dev.wait_for("-> one  ", SOON_S)

        (subs / "two.yaml").write_text(document("two", sink.url("two"), bills))
        dev.wait_for(f"topic {bills} created", SOON_S)
        dev.wait_for("two created", SOON_S)
        produce(kafka, bills, [Outgoing(b"k", b"bill")])
        dev.wait_for("-> two  ", SOON_S)
        exports = re.findall(r"^  export (HOOKLANE_\w+)=(.*)$", dev.said, re.MULTILINE)
        listed = json.loads(
            hooklane_ok(
                {**environment(kafka, prefix), **dict(exports)},
                "subscriptions",
                "list",
                "--output",
                "json",
            )
        )
        assert [one["id"] for one in listed] == ["one", "two"]
    with dev_on(kafka, prefix, tmp_path) as dev:
        dev.wait_for("ready, for example for:")
        assert "created" not in dev.said
        produce(kafka, orders, [Outgoing(b"k", b"second")])
        dev.wait_for("-> one  ", SOON_S)
    assert [hit.body for hit in sink.hits] == [b"first", b"bill", b"second"]


def test_only_what_it_applied_is_deleted(
    kafka: Kafka, prefix: str, sink: WebhookSink, tmp_path: Path
) -> None:
    """A file that goes takes its subscription along; one that somebody else applied stays."""
    orders = f"{prefix}-orders"
    subs = tmp_path / "subs"
    subs.mkdir()
    (subs / "mine.yaml").write_text(document("mine", sink.url("mine"), orders))
    environ = environment(kafka, prefix)
    hooklane_ok(environ, "topics", "apply")
    theirs = document("theirs", sink.url("theirs"), orders)
    hooklane_ok(environ, "subscriptions", "apply", "-f", "-", stdin=theirs)
    with dev_on(kafka, prefix, tmp_path) as dev:
        dev.wait_for("mine created")
        dev.wait_for("theirs is in no file of the folder and stays in force")
        (subs / "mine.yaml").unlink()
        dev.wait_for("mine deleted", SOON_S)
    records = read_topic(kafka, f"{prefix}.subscriptions")
    latest = {one.key: one.value for one in records}
    assert latest[b"mine"] is None
    assert latest[b"theirs"] is not None


def test_a_kafka_that_is_not_there(tmp_path: Path) -> None:
    """Exit 1 and one sentence that names the address."""
    (tmp_path / "subs").mkdir()
    arguments = ("dev", "subs", "--kafka", "localhost:9", "--no-receiver")
    with started(*arguments, cwd=tmp_path) as dev:
        assert dev.end(30) == 1
    last = dev.said.splitlines()[-1]
    assert last.startswith("Error: Kafka did not answer within 5 s at localhost:9")
