"""A person's shell, into which a page's commands are typed."""

import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

_DEADLINE_S = 120.0


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

    def begin(self, commands: str) -> None:
        """Give it a block whose last command stays in the foreground."""
        self._give(f"{commands}\n")

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
