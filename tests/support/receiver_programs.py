"""The receivers of docs/receiving, started as their READMEs say."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.kafka.broker import free_ports
from tests.support.pages import ROOT, every_block, put_into

RECEIVING = ROOT / "docs" / "receiving"
NEEDS: Mapping[str, Sequence[str]] = {
    "python": (),
    "node": ("node",),
    "go": ("go",),
    "java": ("java", "javac"),
    "shell": ("bash", "openssl", "perl", "flock"),
}
"""Each language, and the programs without which it cannot be run."""

# `go run` compiles net/http once for a machine, which takes a while on a cold cache.
_READY_S = 110.0


def missing(language: str) -> str | None:
    """Why it cannot be run here, in one sentence."""
    lacking = [name for name in NEEDS[language] if shutil.which(name) is None]
    return f"There is no {', '.join(lacking)} on this machine." if lacking else None


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of an inbox. What is absent is a `-`."""

    id: str
    lane: str
    sequence: str
    type: str
    body: bytes


def _kept(webhook_id: str, lane: str, sequence: str, kind: str, body: str) -> Kept:
    return Kept(webhook_id, lane, sequence, kind, base64.b64decode(body))


class ReceiverProgram:
    """One receiver on a port of its own, and its files in a folder of its own."""

    def __init__(self, language: str, folder: Path, secrets: Sequence[str]) -> None:
        self.language = language
        self.inbox = folder / f"{language}.txt"
        self._done = folder / f"{language}.txt.done"
        self._log = folder / f"{language}.log"
        self._secrets = secrets
        self._process: subprocess.Popen[bytes] | None = None
        [self.port] = free_ports(1)

    def start(self) -> None:
        """By the last line of the README's commands; what goes before installs and exports."""
        folder = RECEIVING / self.language
        [commands] = every_block((folder / "README.md").read_text(), "sh")
        command = put_into(commands.splitlines()[-1], {"8080": str(self.port)})
        environ = {name: os.environ[name] for name in os.environ if not name.startswith("HOOKLANE")}
        environ |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Else a cold cache compiles C as well: 25 s instead of 15 on two cores.
            "CGO_ENABLED": "0",
            "WEBHOOK_SECRETS": " ".join(self._secrets),
            "PORT": str(self.port),
            "INBOX": str(self.inbox),
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=folder,
                env=environ,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def wait_ready(self) -> None:
        """Until `/healthz` answers."""
        self._wait(self._healthy, _READY_S)

    def wait_ended(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        assert self._process is not None
        return self._process.wait(30), self._log.read_text()

    def kill(self) -> None:
        """SIGKILL to it and to all that it has started."""
        if self._process is not None:
            # It may have ended by itself.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def kept(self) -> list[Kept]:
        """What is in its inbox."""
        lines = self.inbox.read_text().splitlines() if self.inbox.exists() else []
        return [_kept(*line.split(" ")) for line in lines]

    def wait_worked(self) -> None:
        """Until all that it keeps was worked on, in that order."""
        ids = [one.id for one in self.kept()]
        self._wait(lambda: self._worked_on() == ids, 20.0)

    def _worked_on(self) -> list[str]:
        return self._done.read_text().splitlines() if self._done.exists() else []

    def _healthy(self) -> bool:
        try:
            return self.ask("GET", "/healthz", {}) == (200, b"ok\n")
        except OSError:
            return False

    def _wait(self, reached: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert self._process is not None
            ended = self._process.poll()
            assert ended is None, f"{self.language} ended with {ended}:\n{self._log.read_text()}"
            assert time.monotonic() < deadline, f"{self.language}:\n{self._log.read_text()}"
            time.sleep(0.02)
