"""A `hooklane` that somebody runs by hand: at a pseudo terminal or on a pipe, with its output read
as it comes."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import HOOKLANE

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLANE_")}
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Program:
    """A running program and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self._output = output
        self._written = b""

    @property
    def said(self) -> str:
        """All that it has written, without what moves and colours."""
        return _ESCAPE.sub("", self._written.decode(errors="replace")).replace("\r", "")

    def type(self, keys: bytes) -> None:
        """At its terminal."""
        os.write(self._output, keys)

    def wait_for(self, words: str, seconds: float = 60.0) -> None:
        """Until it has said this."""
        self._read_until(lambda: words in self.said, time.monotonic() + seconds, words)

    def end(self, seconds: float) -> int:
        """Its exit code, once it has ended and everything is read."""
        deadline = time.monotonic() + seconds
        self._read_until(lambda: False, deadline, "its end")
        return self.process.wait(max(deadline - time.monotonic(), 0.1))

    def _read_until(self, reached: Callable[[], bool], deadline: float, what: str) -> None:
        while not reached():
            left = deadline - time.monotonic()
            assert left > 0, f"no {what!r} in time:\n{self.said}"
            if select.select([self._output], [], [], left)[0]:
                found = self._read()
                if not found:
                    assert what == "its end", f"it ended without {what!r}:\n{self.said}"
                    return
                self._written += found

    def _read(self) -> bytes:
        try:
            return os.read(self._output, 65536)
        except OSError:
            # So a pseudo terminal says that the other side has gone.
            return b""


@contextmanager
def started(
    *arguments: str,
    cwd: Path,
    terminal: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """Run `hooklane` with stdout and stderr on one pipe, or at a terminal of 80 columns."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    process = subprocess.Popen(
        [HOOKLANE, *arguments],
        stdin=theirs if terminal else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**ENVIRON, "HOME": str(cwd), "TERM": "xterm", **(environ or {})},
        preexec_fn=_own_terminal if terminal else None,  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        yield Program(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def _own_terminal() -> None:
    """So that a Ctrl-C that is typed there becomes a signal to this process."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
