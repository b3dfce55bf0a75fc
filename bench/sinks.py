"""The receivers of the benchmarks as processes: one in C that counts, one that notes times."""

import json
import mmap
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_SOURCE = Path(__file__).with_name("sink.c")
_COUNTS = struct.Struct("=5Q")
_TENTHS = 20_000
_TOOK = struct.Struct(f"={_TENTHS + 1}Q")
_SIZE = _COUNTS.size + _TOOK.size


class NoCompilerError(Exception):
    """The counting sink cannot be built; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the counting sink has found so far; see sink.c."""

    deliveries: int
    overlaps: int
    disorder: int
    bad: int
    connections: int


def build_sink(folder: Path) -> Path:
    """Compile the counting sink; about half a second.

    Raises:
        NoCompilerError: there is no C compiler, or it refuses.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompilerError(
            "The throughput benchmark compiles its receiver, and `cc` is not here: install a C "
            "compiler (Debian: gcc and libc6-dev), or run the others with --only latency."
        )
    made = folder / "sink"
    done = subprocess.run(
        [compiler, "-O2", "-o", str(made), str(_SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoCompilerError(f"`cc` cannot compile {_SOURCE.name}: {done.stderr.strip()[-1000:]}")
    return made


class CountingSink:
    """sink.c between `with` and its end; entered again it is another one at the same address.

    `addresses`: how many others it has besides, at the same port.
    """

    def __init__(self, program: Path, delay_ms: int, addresses: int = 0) -> None:
        self._program = program
        self._told = [str(delay_ms), str(addresses)]
        self._port = 0

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="hooklane-bench-sink-"))
        self._file = self._folder / "counts"
        self._file.write_bytes(bytes(_SIZE))
        delay_ms, addresses = self._told
        command = [str(self._program), str(self._file), delay_ms, str(self._port), addresses]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self._port}/hook"
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._map.close()
        shutil.rmtree(self._folder)

    def url_at(self, number: int) -> str:
        """Of one of its addresses."""
        return self.url.replace("127.0.0.1", f"127.0.{1 + number // 200}.{1 + number % 200}")

    @property
    def counts(self) -> Counts:
        return Counts(*_COUNTS.unpack(self._map[: _COUNTS.size]))

    @property
    def took(self) -> tuple[int, ...]:
        """How many requests took so many tenths of a millisecond; the last: all that took more."""
        return _TOOK.unpack(self._map[_COUNTS.size :])


@dataclass(frozen=True, slots=True)
class Arrival:
    """One webhook as it came in. Both times: nanoseconds of the monotonic clock."""

    path: str
    number: int
    sent_ns: int
    arrived_ns: int
    signed: bool


class NotingSink:
    """latency_sink.py between `with` and its end."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.latency_sink"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_SOURCE.parents[1],
        )
        self._port = int(self._ask())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"

    def count(self) -> int:
        """How many have arrived."""
        self._tell("count")
        return int(self._ask())

    def arrivals(self) -> list[Arrival]:
        """All that have arrived, in their order."""
        self._tell("arrivals")
        return [Arrival(*one) for one in json.loads(self._ask())]

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _ask(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()
