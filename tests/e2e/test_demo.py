"""`hooklane demo` as somebody runs it: without a terminal, at one, and interrupted."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import HOOKLANE

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLANE_")}
ENDS_IN_S = 5.0
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Demo:
    """A running demonstration and what it has written so far."""

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
def started(*arguments: str, cwd: Path, terminal: bool = False) -> Iterator[Demo]:
    """Run it with stdout and stderr on one pipe, or at a pseudo terminal of 80 columns."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    process = subprocess.Popen(
        [HOOKLANE, "demo", *arguments],
        stdin=theirs if terminal else subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**ENVIRON, "HOME": str(cwd), "TERM": "xterm"},
        preexec_fn=_own_terminal if terminal else None,  # noqa: PLW1509 - no threads here
    )
    os.close(theirs)
    try:
        yield Demo(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


def _own_terminal() -> None:
    """So that a Ctrl-C that is typed there becomes a signal to this process."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def figures(said: str) -> dict[str, list[int]]:
    """The numbers of each line of the summary, by its heading."""
    lines = (line.split(maxsplit=1) for line in said.splitlines())
    return {
        words[0]: [int(number) for number in re.findall(r"\b[0-9]+\b", words[1])]
        for words in lines
        if len(words) == 2 and words[0] in SUMMARY
    }


SUMMARY = ("Published", "Delivered", "Retried", "Verified", "Order", "Lanes", "Undisturbed")


def assert_consistent(found: dict[str, list[int]]) -> None:
    """Each figure agrees with the others: deliveries and retries are all requests there were."""
    assert tuple(found) == SUMMARY
    delivered, expected, *each = found["Delivered"]
    retried, refused = found["Retried"]
    verified, requests = found["Verified"]
    released, blocked = found["Lanes"]
    assert found["Published"] == [360]
    assert delivered == expected == sum(each) == 840
    assert each[0] == 360
    assert retried == refused > 0
    assert verified == requests == delivered + refused
    assert found["Order"] == [72]
    assert (released > 1, blocked) == (True, 0)


def test_without_a_terminal(tmp_path: Path) -> None:
    """It ends by itself within 30 s: exit 0, lines of text, consistent figures, nothing left."""
    began = time.monotonic()
    with started("--log", str(tmp_path / "log"), cwd=tmp_path) as demo:
        code = demo.end(seconds=60)
    assert code == 0, demo.said
    assert "no real Kafka" in demo.said.splitlines()[0]
    assert re.fullmatch(r"PASSED in [0-9.]+ s\.", demo.said.splitlines()[-1])
    assert_consistent(figures(demo.said))
    assert "FAILING" in demo.said
    assert "lanes blocked" in demo.said
    lines = [line for line in demo.said.splitlines() if " events published; " in line]
    assert len(lines) <= time.monotonic() - began + 1
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert "partition.restored" in (tmp_path / "log").read_text()
    assert time.monotonic() - began < 30


def test_at_a_terminal_and_kept(tmp_path: Path) -> None:
    """It draws, ends with the summary, takes a stranger's event, and goes at a Ctrl-C."""
    with started("--keep", cwd=tmp_path, terminal=True) as demo:
        demo.wait_for("comes here:")
        assert len(re.findall("RECEIVER +NOW +DELIVERED +WAITING +RETRIED", demo.said)) > 20
        assert re.search("warehouse +failing", demo.said)
        assert_consistent(figures(demo.said))
        _do(printed_lines(demo.said), cwd=tmp_path)
        for receiver in ("analytics", "warehouse", "billing"):
            demo.wait_for(f"{receiver:<9}  order.placed  customer-25  sequence", seconds=10)
        demo.type(b"\x03")
        assert demo.end(ENDS_IN_S) == 130
    assert "Traceback" not in demo.said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["no real Kafka", "the retrier", "groups to form", "lanes blocked"]
)
def test_an_interrupt_ends_it(words: str, tmp_path: Path) -> None:
    """Ctrl-C at any moment: exit 130 within 5 s, without a word more and without a remainder."""
    with started(cwd=tmp_path) as demo:
        demo.wait_for(words)
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(ENDS_IN_S) == 130, demo.said
    assert "Traceback" not in demo.said
    assert "rror" not in demo.said
    assert "PASSED" not in demo.said
    assert list(tmp_path.iterdir()) == []


def printed_lines(said: str) -> list[str]:
    """The commands that it says one may type, as they stand there."""
    after = said.split("look at all attempts:")[1]
    return after.split("What the receivers")[0].strip().splitlines()


def _do(lines: Sequence[str], cwd: Path) -> None:
    done = subprocess.run(
        ["sh", "-euc", "\n".join(lines)],
        cwd=cwd,
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "shop.events" in done.stdout
    assert "customer-25" in done.stdout
