"""Services that somebody keeps alive, as an orchestrator does."""

import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import ServiceProcess

_LOOK_S = 0.2
_READY_S = 20.0
_END_S = 90.0


class Kept:
    """One service that is started again when it ends by itself, which is counted in `endings`."""

    def __init__(self, process: ServiceProcess, spool: Path | None, endings: Counter[str]) -> None:
        self.process = process
        self._spool = spool
        self._endings = endings
        self._lock = threading.RLock()
        self._up = False

    def start(self) -> None:
        with self._lock:
            self.process.start()
            self._up = True

    def kill(self) -> None:
        with self._lock:
            self._up = False
            self.process.kill()

    def terminate(self) -> None:
        """SIGTERM, and its end; it has to end well."""
        with self._lock:
            self._up = False
            code = self.process.terminate(_END_S)
            if code != 0:
                self._note(f"ended with {code} after SIGTERM")

    def freeze(self, seconds: float) -> None:
        """SIGSTOP for so long, then SIGCONT."""
        self.process.send(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send(signal.SIGCONT)

    def lose_spool(self) -> None:
        """While it is down."""
        if self._spool is not None:
            shutil.rmtree(self._spool, ignore_errors=True)

    def spoil_spool(self) -> None:
        """While it is down: a page in the middle of each file is overwritten."""
        for file in self._spool.glob("**/*") if self._spool is not None else ():
            if file.is_file() and (size := file.stat().st_size) > 0:
                with file.open("r+b") as opened:
                    opened.seek(size // 2)
                    opened.write(b"\xa5" * min(4096, size - size // 2))

    def wait_ready(self) -> None:
        """Until it is ready, or for some seconds: under these conditions it need not become so."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline and self.process.get("/readyz")[0] != 200:
            time.sleep(0.1)

    def look(self) -> None:
        """Start it again if it has ended by itself."""
        with self._lock:
            if self._up and (code := self.process.exit_code) is not None:
                self._note(f"ended by itself with {code}")
                self.process.start()

    def _note(self, what: str) -> None:
        last = [line for line in self.process.log().splitlines() if "Error:" in line]
        self._endings[f"{self.process.command} {what}: {last[-1] if last else 'no word'}"] += 1


class Keeper:
    """All services of a test, from `with` to its end; `by_kind` gives them."""

    def __init__(self, by_kind: Mapping[str, Sequence[Kept]]) -> None:
        self.by_kind = by_kind
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._stack = ExitStack()

    @property
    def all(self) -> list[Kept]:
        return [kept for kind in self.by_kind.values() for kept in kind]

    def __enter__(self) -> Self:
        for kept in self.all:
            self._stack.callback(kept.kill)
            kept.start()
        for kept in self.all:
            kept.process.wait_ready(60.0)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._stack.close()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for kept in self.all:
                kept.look()
