"""`hooklane dev` as a developer runs it, on the broker of its own."""

import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.kafka.broker import free_ports
from tests.support.by_hand import ENVIRON, Program, started
from tests.support.pages import blocks, page
from tests.support.processes import HOOKLANE
from tests.support.site import SECRET
from tests.support.webhook_sink import WebhookSink

ENDS_IN_S = 8.0
SOON_S = 30.0


def publish(servers: str, topic: str, key: str, value: bytes) -> None:
    """By a client that knows nothing of Hooklane."""
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic, value, key, headers={"event-type": "order.paid"})
    assert producer.flush(SOON_S) == 0


def printed_command(dev: Program) -> str:
    """The command by which it says one may publish."""
    [command] = re.findall(r"ready, for example for: (.*)", dev.said)
    return str(command)


def test_without_anything(tmp_path: Path) -> None:
    """No folder, no Kafka: the printed command's event comes to its own receiver."""
    assert blocks(page("README.md"), "See it", "sh") == ["hooklane dev\n"]
    port, receiver = free_ports(2)
    with started("dev", "--port", str(port), "--receiver-port", str(receiver), cwd=tmp_path) as dev:
        dev.wait_for("ready, for example for:")
        assert "not a real Kafka" in dev.said
        exports = re.findall(r"^  (export .*)$", dev.said, re.MULTILINE)
        looks = [f"hooklane {what} list" for what in ("subscriptions", "lanes", "dead-letters")]
        looks.append("hooklane trace --key c-42 --topic orders.events")
        done = subprocess.run(
            ["bash", "-euc", "\n".join([*exports, printed_command(dev), *looks])],
            env={**ENVIRON, "PATH": f"{Path(HOOKLANE).parent}:{ENVIRON['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert re.search("^dev +active ", done.stdout, re.MULTILINE)
        assert re.search("^order.paid .*: orders.events partition", done.stdout, re.MULTILINE)
        dev.wait_for('<- /  order.paid c-42 #0 try 1  not signed, next: {"amount": 120}', SOON_S)
        dev.wait_for("-> dev  order.paid c-42 #0 try 1  204 No Content in", SOON_S)
        dev.process.send_signal(signal.SIGINT)
        assert dev.end(ENDS_IN_S) == 0
    assert "Traceback" not in dev.said
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_followed(tmp_path: Path, sink: WebhookSink) -> None:
    """A new file delivers at once, a bad one leaves its last good version, a deleted one ends."""
    folder = tmp_path / "subscriptions"
    folder.mkdir()
    [receiver] = free_ports(1)
    (folder / "own.yaml").write_text(
        f"id: own\nurl: http://localhost:{receiver}/own\nmatch: {{topics: [orders.events]}}\n"
        "signing: {secrets: ['env:HOOKLANE_SECRET_OWN']}\n"
    )
    environ = {"HOOKLANE_SECRET_OWN": SECRET}
    with started(
        "dev", "--port", "0", "--receiver-port", str(receiver), cwd=tmp_path, environ=environ
    ) as dev:
        dev.wait_for("ready, for example for: hooklane publish orders.events")
        dev.wait_for("own created")
        servers = re.findall("on a broker of its own at (.*)[.]", dev.said)[0]

        file = folder / "app.yaml"
        file.write_text(f"id: app\nurl: {sink.url('app')}\nsigning: {{secrets: ['{SECRET}']}}\n")
        dev.wait_for("app created", SOON_S)
        publish(servers, "orders.events", "c-1", b'{"n": 1}')
        dev.wait_for('<- /own  order.paid c-1 #0 try 1  verified, next: {"n": 1}', SOON_S)
        dev.wait_for("-> app  order.paid c-1 #0 try 1  200 OK in", SOON_S)

        file.write_text("id: app\nurl: nowhere\n")
        dev.wait_for("app.yaml: url: ", SOON_S)
        dev.wait_for("; its last good version stays.", SOON_S)
        publish(servers, "orders.events", "c-1", b'{"n": 2}')
        dev.wait_for("-> app  order.paid c-1 #1 try 1  200 OK in", SOON_S)

        file.unlink()
        dev.wait_for("app deleted", SOON_S)
        # A topic that no document names and that is made by its first event.
        publish(servers, "other.events", "c-1", b'{"n": 3}')
        publish(servers, "orders.events", "c-1", b'{"n": 4}')
        dev.wait_for('#2 try 1  verified, next: {"n": 4}', SOON_S)
        dev.process.send_signal(signal.SIGTERM)
        assert dev.end(ENDS_IN_S) == 0
    assert [hit.body for hit in sink.hits] == [b'{"n": 1}', b'{"n": 2}']
    assert "Traceback" not in dev.said


def test_at_a_terminal(tmp_path: Path) -> None:
    """It draws its table below the lines, says why an application gets nothing, and when again."""
    [nobody] = free_ports(1)
    (tmp_path / "app.yaml").write_text(f"id: app\nurl: http://localhost:{nobody}/\n")
    arguments = ("dev", "app.yaml", "--port", "0", "--no-receiver")
    with started(*arguments, cwd=tmp_path, terminal=True) as dev:
        dev.wait_for("ready, for example for:")
        servers = re.findall("on a broker of its own at (.*)[.]", dev.said)[0]
        publish(servers, "orders.events", "c-1", b"{}")
        dev.wait_for("-> app  order.paid c-1 #0 try 1  FAILED: no connection", SOON_S)
        dev.wait_for("events 1, deliveries waiting 1, lanes blocked 1", SOON_S)
        dev.type(b"\x03")
        assert dev.end(ENDS_IN_S) == 0
    assert re.search("SUBSCRIPTION +DELIVERED +FAILED +LAST", dev.said)
    assert "again in 5 s" in " ".join(dev.said.split())
    assert "Traceback" not in dev.said


@pytest.mark.parametrize("words", ["on a broker of its own", "app created"])
def test_an_interrupt_ends_it(words: str, tmp_path: Path) -> None:
    """Ctrl-C while it starts: exit 0 within seconds, not a word more, and no remainder."""
    (tmp_path / "app.yaml").write_text("id: app\nurl: http://localhost:9/\n")
    with started("dev", "app.yaml", "--port", "0", "--no-receiver", cwd=tmp_path) as dev:
        dev.wait_for(words)
        dev.process.send_signal(signal.SIGINT)
        assert dev.end(ENDS_IN_S) == 0, dev.said
    assert "rror" not in dev.said
    assert [path.name for path in tmp_path.iterdir()] == ["app.yaml"]


def test_what_it_cannot_begin_with(tmp_path: Path) -> None:
    """A port that is taken and a folder that is not there: exit 2, and what to change instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("dev", "--port", str(port), "--receiver-port", "0", cwd=tmp_path) as dev:
            assert dev.end(SOON_S) == 2
    assert f"use it by --kafka localhost:{port}." in dev.said.splitlines()[-1]
    with started("dev", "nowhere", cwd=tmp_path) as dev:
        assert dev.end(SOON_S) == 2
    with started("dev", "--kafka", "localhost", cwd=tmp_path) as wrong:
        assert wrong.end(SOON_S) == 2
    assert wrong.said == "Error: --kafka localhost is not HOST:PORT, such as localhost:9092.\n"
    assert dev.said == "Error: There is no folder nowhere: make it, or name another one.\n"
