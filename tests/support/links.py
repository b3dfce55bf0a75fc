"""The links between the services and a cluster's brokers, held, slowed and healed at will."""

import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).resolve().parents[2]


class Way(Enum):
    """A direction: from the services to a broker, or back."""

    UP = "UP"
    DOWN = "DOWN"


BOTH = (Way.UP, Way.DOWN)


class Links:
    """Up between `with` and its end. `ports`: by broker, where to listen and where to lead."""

    def __init__(self, ports: Mapping[int, tuple[int, int]]) -> None:
        self._ports = ports
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        told = [f"{node}:{listen}:{target}" for node, (listen, target) in self._ports.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.tcp_proxy", *told],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("listening")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def hold(self, nodes: Iterable[int], ways: Iterable[Way] = BOTH) -> None:
        """A partition: nothing passes these ways of these brokers until they are healed."""
        for node in nodes:
            for way in ways:
                self._tell(node, way, held=1)

    def slow(self, nodes: Iterable[int], latency_s: float, bytes_per_s: float = 0) -> None:
        """Both ways take that much longer, and carry no more than that (0: no cap)."""
        for node in nodes:
            for way in BOTH:
                self._tell(node, way, latency_s=latency_s, bytes_per_s=bytes_per_s)

    def heal(self) -> None:
        """All links are whole; what was held goes on."""
        for node in self._ports:
            for way in BOTH:
                self._tell(node, way)

    def _tell(
        self, node: int, way: Way, held: int = 0, latency_s: float = 0, bytes_per_s: float = 0
    ) -> None:
        with self._lock:
            assert self._process.stdin is not None
            print(
                node, way.value, held, latency_s, bytes_per_s, file=self._process.stdin, flush=True
            )
            self._expect("done")

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        assert said == word, f"the links said {said!r}, not {word!r}"
