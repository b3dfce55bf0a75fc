"""The README's commands and programs, run as they are written.

Changed are only addresses: Kafka's, the receiver's port, and the event topic's name, since the
broker is shared by all tests.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from tests.kafka.broker import Kafka, free_ports
from tests.support.site import SECRET, Site
from tests.support.webhook_sink import WebhookSink

README = (Path(__file__).parents[2] / "README.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DEADLINE_S = 60.0

# Kafka's own tool is not among the jars that the tests fetch: this takes its options.
_KAFKA_TOPICS = """#!{python}
import argparse
from confluent_kafka.admin import AdminClient, NewTopic

options = argparse.ArgumentParser()
options.add_argument("--bootstrap-server", required=True)
options.add_argument("--create", action="store_true", required=True)
options.add_argument("--topic", required=True)
options.add_argument("--partitions", type=int, required=True)
given = options.parse_args()
admin = AdminClient({{"bootstrap.servers": given.bootstrap_server}})
made = admin.create_topics([NewTopic(given.topic, given.partitions, 1)])
made[given.topic].result()
"""


def blocks(heading: str, language: str) -> list[str]:
    """The fenced blocks of one language in one section."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [text for found, text in _BLOCK.findall(section) if found == language]


class Shell:
    """One bash, as a person has it; what it and its jobs print is gathered."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self.seen: list[str] = []
        self._bash = subprocess.Popen(
            ["bash", "--norc", "-eu"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Its jobs too: they are in its process group.
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait(10)
        self._reading.join(10)
        for pipe in (self._bash.stdin, self._bash.stdout):
            assert pipe is not None
            pipe.close()

    def run(self, commands: str) -> None:
        """Give it a block, and wait until its last command in the foreground has ended."""
        mark = f"--- {len(self.seen)} {time.monotonic()}"
        self._give(f"{commands}\necho '{mark}'\n")
        self.wait_for(lambda line: line == mark)

    def wait_for(self, wanted: Callable[[str], bool]) -> str:
        """The first line, from here on, that is wanted."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail("\n".join(["not seen in time:", *self.seen]))
            self.seen.append(line)
            if wanted(line):
                return line
            assert line != "", "\n".join(["bash has ended:", *self.seen])

    def wait_for_row(self, pattern: str) -> None:
        """Until the receiver has printed such a line, now or before."""
        if not any(re.search(pattern, line) for line in self.seen):
            self.wait_for(lambda line: re.search(pattern, line) is not None)

    def rows(self) -> list[tuple[str, ...]]:
        """What the receiver has printed: status, sequence, attempt, order, body; all verified."""
        row = r"^\S+ \S+Z +(\d+)  msg_\w+ +(\d+) +(\d+)  yes +(\w+) +order.paid  c-42  - +(.*)$"
        return [found.groups() for line in self.seen if (found := re.match(row, line))]

    def end(self) -> int:
        """No more commands; bash's exit code."""
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        return self._bash.wait(_DEADLINE_S)

    def _give(self, text: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(text)
        self._bash.stdin.flush()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            # A blank one would read as the end, and none of the commands prints any on purpose.
            self._lines.put(line.rstrip("\n") or " ")
        self._lines.put("")


@pytest.fixture
def shell(kafka: Kafka, prefix: str, tmp_path: Path) -> Iterator[Shell]:
    """A user's shell in an empty folder, with `hooklane` and `kafka-topics.sh` on the PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "kafka-topics.sh"
    tool.write_text(_KAFKA_TOPICS.format(python=sys.executable))
    tool.chmod(0o755)
    home = Path(sys.executable).parent
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("HOOKLANE_")
    }
    environ = {
        **inherited,
        "PATH": f"{tools}:{home}:{os.environ['PATH']}",
        "HOOKLANE_TOPICS__PREFIX": prefix,
        "HOOKLANE_FANOUT__GROUP_ID": f"{prefix}-fanout",
        "HOOKLANE_RETRIER__GROUP_ID": f"{prefix}-retrier",
        "HOOKLANE_HTTP__HOST": "127.0.0.1",
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    with Shell(folder, environ) as shell:
        yield shell


def test_the_first_run(shell: Shell, kafka: Kafka, prefix: str, tmp_path: Path) -> None:
    """From nothing to webhooks that are verified, retried and in order; and to a clean end."""
    port, fanout_port, retrier_port = free_ports(3)
    places = {
        "localhost:9092": kafka.bootstrap_servers,
        "8090": str(port),
        "HTTP__PORT=8080": f"HTTP__PORT={fanout_port}",
        "HTTP__PORT=8081": f"HTTP__PORT={retrier_port}",
        "orders.events": f"{prefix}.orders.events",
    }

    def here(text: str) -> str:
        for written, real in places.items():
            text = text.replace(written, real)
        return text

    setting, topics, services, publishing, ending = map(here, blocks("A first run", "sh"))
    [document] = map(here, blocks("A first run", "yaml"))
    (tmp_path / "folder" / "subscriptions.yaml").write_text(document)
    for one in (setting, topics, services, publishing):
        shell.run(one)
    shell.wait_for_row('204 .* 2 +1 +yes +next +order.paid +c-42 .*{"amount": 130}')
    assert shell.rows() == [
        ("503", "0", "1", "next", '{"amount": 120}'),
        ("204", "0", "2", "retry", '{"amount": 120}'),
        ("204", "2", "1", "next", '{"amount": 130}'),
    ]

    for program in map(here, blocks("Publish from a service", "python")):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=_DEADLINE_S)
    shell.wait_for_row('204 .* yes +next +order.paid +c-42 .*{"amount":310}')
    assert [row[-1] for row in shell.rows()[3:]] == ['{"amount": 250}', '{"amount":310}']

    shell.run(ending)
    assert any(line.startswith("5 requests, 4 accepted, 1 failed on") for line in shell.seen)
    assert shell.end() == 0


def test_a_receiver_verifies_as_the_readme_says(site: Site, sink: WebhookSink) -> None:
    """The README's function takes a real delivery, and refuses it with another body."""
    [program] = blocks("Verify in a receiver", "python")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - it is our own page
    site.subscribe("reader", sink.url("reader"), signing={"secrets": [SECRET]})
    site.publish_numbers(["c-42"])
    with site.fanout():
        sink.wait_for(lambda: len(sink.hits) == 1)
    [hit] = sink.hits
    assert names["verified"](SECRET, hit.headers, hit.body) == {"n": 0}
    with pytest.raises(WebhookVerificationError):
        names["verified"](SECRET, hit.headers, hit.body + b" ")
