"""Hooklane's own processes for tests, started as a user starts them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.kafka.broker import Kafka

HOOKLANE = str(Path(sys.executable).with_name("hooklane"))
_ROOT = Path(__file__).resolve().parents[2]
_CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLANE_")}


def environment(kafka: Kafka, prefix: str, **more: str) -> dict[str, str]:
    """What a process of this test is told; `more` by the names after `HOOKLANE_`."""
    told = {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TOPICS__PREFIX": prefix,
        "TOPICS__PARTITIONS": "4",
        "DELIVERY__ALLOW_HTTP": "true",
        "DELIVERY__ALLOW_NETWORKS": '["127.0.0.0/8"]',
        "SECRETS__ALLOW_PLAINTEXT": "true",
        "FANOUT__GROUP_ID": f"{prefix}-fanout",
        "RETRIER__GROUP_ID": f"{prefix}-retrier",
        "HTTP__HOST": "127.0.0.1",
        "HTTP__PORT": "0",
        "LOG__FORMAT": "json",
        **more,
    }
    return _CLEAN | {f"HOOKLANE_{name}": value for name, value in told.items()}


def hooklane(
    environ: Mapping[str, str], *arguments: str, stdin: str = "", timeout: float = 60.0
) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [HOOKLANE, *arguments],
        env=dict(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def hooklane_ok(environ: Mapping[str, str], *arguments: str, stdin: str = "") -> str:
    """Run one command that has to succeed; gives its output."""
    done = hooklane(environ, *arguments, stdin=stdin)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


class ServiceProcess:
    """`hooklane fanout` or `hooklane retrier`, between `with` and its end."""

    def __init__(
        self,
        command: str,
        environ: Mapping[str, str],
        name: str = "one",
        program: Sequence[str] = (HOOKLANE,),
    ) -> None:
        self._program = program
        self.command = command
        self.name = name
        self._environ = {"HOOKLANE_KAFKA__INSTANCE_ID": f"{command}-{name}", **environ}
        self._log = Path(tempfile.mkstemp(prefix=f"hooklane-{command}-", suffix=".log")[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._read_from = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kill()
        if kind is not None:
            print(f"--- log of {self.command} {self.name}:\n{self.log()[-8000:]}", file=sys.stderr)
        self._log.unlink()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        self._read_from = self._log.stat().st_size
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [*self._program, self.command], cwd=_ROOT, env=self._environ, stdout=out, stderr=out
            )

    def terminate(self, seconds: float = 40.0) -> int:
        """SIGTERM; gives the exit code."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            # What it is doing comes into its log, and with that into the test's output.
            self.send(signal.SIGUSR1)
            time.sleep(1.0)
            raise

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Until `/readyz` answers 200."""
        self._wait(lambda: self.get("/readyz")[0] == 200, seconds, "ready")

    def wait_for(self, reached: Callable[[], bool], seconds: float = 20.0) -> None:
        """Until `reached` holds, while the process runs."""
        self._wait(reached, seconds, "as wanted")

    def wait_ended(self, seconds: float = 30.0) -> int:
        assert self._process is not None
        return self._process.wait(seconds)

    def get(self, path: str) -> tuple[int, str]:
        """A page of its health server; status 0 while nobody listens."""
        port = self.port()
        if port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, line: str) -> float:
        """The value of one line of `/metrics`, by the text before it; 0 where it is missing."""
        for found in self.get("/metrics")[1].splitlines():
            if found.startswith(f"{line} "):
                return float(found.rpartition(" ")[2])
        return 0.0

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def log_lines(self) -> Sequence[dict[str, Any]]:
        """The structured lines since the last start."""
        with self._log.open("rb") as file:
            file.seek(self._read_from)
            lines = file.read().decode(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def port(self) -> int | None:
        """Of its health server, or its pages; None while nobody listens."""
        for line in self.log_lines():
            if "port" in line and "served" in str(line.get("event")):
                return int(line["port"])
        return None

    def _wait(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert self._process is not None
            code = self._process.poll()
            assert code is None, f"{self.command} ended with {code}:\n{self.log()[-4000:]}"
            assert time.monotonic() < deadline, (
                f"not {what} in {seconds} s: {self.get('/readyz')}\n{self.log()[-4000:]}"
            )
            time.sleep(0.02)
