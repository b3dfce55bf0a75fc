"""`hooklane fanout` where it cannot start: one sentence, the right exit code, no traceback."""

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic
from tests.support.processes import ServiceProcess, environment, hooklane, hooklane_ok
from tests.support.site import Site

FAILED = 1
WRONG_SETTING = 2
_PATIENCE_S = 40.0


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A loopback port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def refused(environ: dict[str, str], code: int, *options: str) -> str:
    """Start a fan-out that must end by itself; its one sentence."""
    ended = hooklane(environ, *options, "fanout", timeout=_PATIENCE_S)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    return sentence_of(ended)


def sentence_of(ended: "subprocess.CompletedProcess[str]") -> str:
    """What is said to the person: the last line, and the only one that is no log line."""
    assert "Traceback" not in ended.stderr
    said = [line for line in ended.stderr.splitlines() if not is_log_line(line)]
    assert len(said) == 1, ended.stderr
    assert ended.stderr.splitlines()[-1] == said[0]
    assert said[0].startswith("Error: ")
    assert said[0].endswith(".")
    return said[0]


def is_log_line(line: str) -> bool:
    return line.startswith("{") and "event" in json.loads(line)


@pytest.mark.parametrize(
    ("name", "value", "needles"),
    [
        ("FANOUT__MAX_REDIRECTS", "lots", ("HOOKLANE_FANOUT__MAX_REDIRECTS is wrong", "integer")),
        ("FANOUT__COMMIT_INTERVAL", "1h", ("HOOKLANE_FANOUT__COMMIT_INTERVAL",)),
        ("LOG__FORMAT", "xml", ("HOOKLANE_LOG__FORMAT is wrong", "'console' or 'json'")),
        ("FANOUT__TOPICS", "orders.events", ("HOOKLANE_FANOUT__TOPICS is not a JSON list",)),
        ("FANOUT__TOPICS", '["^("]', ("HOOKLANE_FANOUT__TOPICS",)),
        ("KAFKA__PROPERTIES", "{", ("HOOKLANE_KAFKA__PROPERTIES is not a JSON object",)),
        ("KAFKA__PROPERTIES", '{"nonsense": 1}', ("HOOKLANE_KAFKA__PROPERTIES", '"nonsense"')),
        ("DELIVERY__ALLOW_NETWORKS", '["here"]', ("HOOKLANE_DELIVERY__ALLOW_NETWORKS",)),
        ("DELIVERY__PROXY", "ftp://proxy:3128", ("HOOKLANE_DELIVERY__PROXY",)),
    ],
)
def test_a_wrong_setting(
    kafka: Kafka, prefix: str, name: str, value: str, needles: tuple[str, ...]
) -> None:
    """Exit 2, and the setting's name with what it must be; Kafka is not asked."""
    environ = environment(kafka, prefix, FANOUT__TOPICS='["orders"]') | {f"HOOKLANE_{name}": value}
    said = refused(environ, WRONG_SETTING)
    assert all(needle in said for needle in needles), said


def test_an_unknown_setting(kafka: Kafka, prefix: str) -> None:
    """Exit 2, and the setting that was most likely meant."""
    said = refused(environment(kafka, prefix, FANOUT__TOPIC="orders"), WRONG_SETTING)
    assert "HOOKLANE_FANOUT__TOPIC is not a setting" in said
    assert "nearest is HOOKLANE_FANOUT__TOPICS" in said


def test_an_unknown_setting_in_the_file(kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """Exit 2, with the name, the section and the file."""
    file = tmp_path / "wrong.toml"
    file.write_text('[fanout]\ntopcis = ["orders"]\n')
    said = refused(environment(kafka, prefix), WRONG_SETTING, "--config", str(file))
    assert f"topcis under [fanout] in {file} is not a setting; the nearest is topics" in said


def test_no_event_topic(kafka: Kafka, prefix: str) -> None:
    """Exit 2, with an example of what to set."""
    said = refused(environment(kafka, prefix), WRONG_SETTING)
    assert 'set HOOKLANE_FANOUT__TOPICS to a JSON list such as ["orders.events"]' in said


def test_topics_that_are_not_there(kafka: Kafka, prefix: str) -> None:
    """Exit 1: before `topics apply` the first missing topic is named, and what makes it."""
    create_topic(kafka, f"{prefix}-events", 1)
    topics = json.dumps([f"{prefix}-events"])
    said = refused(environment(kafka, prefix, FANOUT__TOPICS=topics), FAILED)
    assert f"Topic {prefix}.subscriptions is missing" in said
    assert "`hooklane topics apply` mends it" in said


def test_topics_with_another_partition_count(site: Site) -> None:
    """Exit 1: another N would move lanes, so both counts are named and what to set."""
    said = refused(site.environment(TOPICS__PARTITIONS="7"), FAILED)
    assert "has partitions 4, wanted is 7" in said
    assert "set HOOKLANE_TOPICS__PARTITIONS to 4" in said


def test_an_unreachable_broker(kafka: Kafka, prefix: str) -> None:
    """Exit 1 after the deadline, with the address and the settings that lead there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = f"127.0.0.1:{listening.getsockname()[1]}"
    told = {"KAFKA__BOOTSTRAP_SERVERS": nobody, "FANOUT__TOPICS": '["orders"]'}
    said = refused(environment(kafka, prefix, **told), FAILED)
    assert nobody in said
    assert "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS" in said


def test_a_taken_port(site: Site, taken_port: int) -> None:
    """Exit 2, with the port and the setting that changes it."""
    said = refused(site.environment(HTTP__PORT=str(taken_port)), WRONG_SETTING)
    assert f"Port {taken_port} is taken" in said
    assert "HOOKLANE_HTTP__PORT" in said


def test_an_unreadable_subscription_is_named_and_stops_nothing(site: Site) -> None:
    """One log line says which and why, `subscriptions list` shows it, and the service is ready."""
    site.configure(b"crooked", b'{"id": "crooked", "url": "gopher://example.com"}')
    with site.fanout() as service:
        service.wait_ready()
        told = [line for line in service.log_lines() if line.get("subscription") == "crooked"]
        assert [line["level"] for line in told] == ["warning"]
        assert "url: must begin with https://" in json.dumps(told[0])
        assert service.metric("hooklane_bad_subscriptions") == 1
    [row] = json.loads(hooklane_ok(site.environment(), "subscriptions", "list", "-o", "json"))
    assert (row["id"], row["state"]) == ("crooked", "bad")
    assert row["note"].startswith("the record at offset 0 is bad (url: must begin with https://")


def test_a_subscription_of_a_newer_format_keeps_it_from_being_ready(site: Site) -> None:
    """An old binary takes no event rather than skip one, and /readyz says which document it is."""
    site.configure(b"future", b'{"id": "future", "format": 99}')
    with site.fanout() as service:
        service.wait_for(lambda: "future" in service.get("/readyz")[1])
        assert service.get("/readyz")[0] == 503
        assert service.get("/healthz")[0] == 200


@pytest.mark.parametrize("command", ["fanout", "retrier"])
def test_a_name_that_is_used_twice_ends_the_first(site: Site, tmp_path: Path, command: str) -> None:
    """Kafka lets the newer one go on; the older one says why it ends, and does not stay silent."""

    def service(place: str) -> ServiceProcess:
        told = site.environment(RETRIER__SPOOL_DIR=str(tmp_path / place))
        return ServiceProcess(command, told)

    with service("first") as first:
        first.wait_ready()
        with service("second") as second:
            assert first.wait_ended() == FAILED
            second.wait_ready()
        assert "fenced" in first.log().splitlines()[-1]
