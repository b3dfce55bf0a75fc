"""`hooklane publish` as a person runs it, against a real broker."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hooklane.ops import publish
from hooklane.ops.main import run
from hooklane.schemas.decode import decode
from hooklane.schemas.decode_binary import DataReader
from hooklane.schemas.event import Event, SourceRecord
from tests.kafka.broker import Kafka
from tests.kafka.records import Stored, create_topic, read_topic


def hooklane(
    servers: str, *arguments: str, stdin: bytes = b"", properties: str = "{}"
) -> subprocess.CompletedProcess[bytes]:
    environment = {
        **os.environ,
        "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS": servers,
        "HOOKLANE_KAFKA__PROPERTIES": properties,
    }
    return subprocess.run(
        [sys.executable, "-m", "hooklane.ops.main", "publish", *arguments],
        input=stdin,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )


def event_of(stored: Stored, *, reader: DataReader | None = None) -> Event:
    found = decode(
        SourceRecord(
            stored.topic,
            "ab" * 16,
            stored.partition,
            stored.offset,
            stored.timestamp_ms,
            stored.key,
            stored.value,
            stored.headers,
        ),
        reader,
    )
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_one_event_with_all_options(kafka: Kafka, prefix: str, mode: str) -> None:
    """Everything that was typed is in the event; the output says where it is."""
    topic = create_topic(kafka, f"{prefix}.events", partitions=3)
    done = hooklane(
        kafka.bootstrap_servers,
        topic,
        *("--type", "invoice.paid", "--key", "c-42", "--data", '{"amount": 12.30}'),
        *("--id", "e-1", "--source", "/billing", "--subject", "x/1", "--mode", mode),
        *("--header", "x-one=1=2", "--header", "x-two=", "--output", "json"),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    (stored,) = read_topic(kafka, topic)
    assert json.loads(done.stdout) == [
        {
            "topic": topic,
            "partition": stored.partition,
            "offset": 0,
            "timestamp_ms": stored.timestamp_ms,
            "id": "e-1",
        }
    ]
    event = event_of(stored)
    assert (event.key, event.data) == (b"c-42", b'{"amount": 12.30}')
    assert event.attributes.items() >= {"id": "e-1", "source": "/billing", "subject": "x/1"}.items()
    assert dict(stored.headers).items() >= {"x-one": b"1=2", "x-two": b""}.items()


def test_a_file_is_the_data(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Any bytes with their content type; a table with topic, partition and offset."""
    topic = create_topic(kafka, f"{prefix}.events")
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG\r\n\x00\xff")
    done = hooklane(
        kafka.bootstrap_servers,
        *(topic, "--type", "picture.taken", "--file", str(file), "--content-type", "image/png"),
        # Each client takes the properties that apply to it.
        properties='{"max.poll.interval.ms": 60000}',
    )
    assert (done.returncode, done.stderr) == (0, b"")
    heading, row = done.stdout.decode().splitlines()
    assert heading.split() == ["TOPIC", "PARTITION", "OFFSET", "ID"]
    assert row.split()[:3] == [topic, "0", "0"]
    event = event_of(*read_topic(kafka, topic))
    assert (event.data, event.content_type, event.key) == (file.read_bytes(), "image/png", None)
    assert event.attributes["id"] == row.split()[3]


def test_lines_are_events(kafka: Kafka, prefix: str) -> None:
    """One event a line from stdin, in order; blank lines are none; more than are out at once."""
    topic = create_topic(kafka, f"{prefix}.events")
    lines = b"".join(b'{"n": %d}\r\n\n' % n for n in range(2500))
    done = hooklane(
        kafka.bootstrap_servers,
        *(topic, "--type", "n", "--key", "k", "--lines", "-", "--output", "json"),
        stdin=lines,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert [row["offset"] for row in json.loads(done.stdout)] == list(range(2500))
    assert [one.value for one in read_topic(kafka, topic)] == [
        b'{"n": %d}' % n for n in range(2500)
    ]


def test_a_bad_line_ends_it_after_those_before(kafka: Kafka, prefix: str) -> None:
    """The line is named, exit 2; what was before it is published and said so."""
    topic = create_topic(kafka, f"{prefix}.events")
    done = hooklane(
        kafka.bootstrap_servers, topic, "--type", "n", "--lines", "-", stdin=b"1\n2\n{\n4\n"
    )
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "Error: Line 3 is not JSON: mend it, or say what it is by --content-type.\n"
    )
    assert [one.value for one in read_topic(kafka, topic)] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{"], "The data is not JSON"),
        ([], "Give the data by one of --data, --file and --lines."),
        (["--data", "1", "--file", "x"], "Give the data by one of"),
        (["--lines", "-", "--id", "e-1"], "--id names one event"),
        (["--data", "1", "--header", "x"], "--header 'x' is not NAME=VALUE."),
        (["--data", "1", "--header", "=x"], "is not NAME=VALUE."),
        (["--file", "/no/such/file"], "/no/such/file cannot be read: No such file or directory."),
        (["--file", "/"], "/ cannot be read: Is a directory."),
    ],
)
def test_wrong_usage_is_said_before_kafka_is_asked(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and one sentence, though no broker is there."""
    assert run(["publish", "t", "--type", "x", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_bad_attribute_is_wrong_usage(kafka: Kafka, prefix: str) -> None:
    """What no CloudEvent may hold is refused by name; nothing is published."""
    topic = create_topic(kafka, f"{prefix}.events")
    done = hooklane(kafka.bootstrap_servers, topic, "--type", "", "--data", "1", "--id", "e-1")
    assert done.returncode == 2
    assert done.stderr == (
        b"Error: event e-1 cannot be published: the attribute 'type' is empty.\n"
    )
    assert read_topic(kafka, topic) == []


def test_a_missing_topic_is_one_sentence(kafka: Kafka, prefix: str) -> None:
    """Exit 1, the topic's name, and nothing on stdout."""
    done = hooklane(kafka.bootstrap_servers, f"{prefix}.none", "--type", "x", "--data", "1")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        f"Error: There is no topic {prefix}.none at {kafka.bootstrap_servers}, or these "
        "credentials may not see it: create it, or check its name.\n"
    )


def test_too_large_an_event_is_one_sentence(kafka: Kafka, prefix: str) -> None:
    """Exit 1 and Kafka's reason."""
    topic = create_topic(kafka, f"{prefix}.events")
    data = b'"' + b"x" * 2_000_000 + b'"'
    done = hooklane(kafka.bootstrap_servers, topic, "--type", "x", "--file", "-", stdin=data)
    assert done.returncode == 1
    assert b"MSG_SIZE_TOO_LARGE" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_an_unreachable_broker_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, the address and the setting to change; the client library's own words stay away."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("HOOKLANE_KAFKA__BOOTSTRAP_SERVERS", servers)
        monkeypatch.setattr(publish, "REACH_S", 0.5)
        assert run(["publish", "t", "--type", "x", "--data", "1"]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"Error: Kafka at {servers} cannot be reached")
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in error
    assert error.count("\n") == 1
