"""One Java process that never outlives the test run."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PR_SET_PDEATHSIG = 1

# Linux kills such a child when the *thread* that started it ends, so one thread that lives as
# long as the interpreter starts them all, whichever thread a test asks from.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-starter")


class Jvm:
    """A running `java`, started with the test run's process as its keeper."""

    def __init__(self, arguments: Sequence[str], output: Path, java: str | None = None) -> None:
        java = java or shutil.which("java") or "java"
        # Through this file as a program: it ties itself to its parent, then becomes java.
        command = [sys.executable, "-ISE", __file__, str(os.getpid()), java, *arguments]
        with output.open("ab") as out:
            self._process = _starter.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # A Ctrl-C is for pytest alone: it stops the brokers in order.
                start_new_session=True,
            ).result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended is left alone."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Also ends a process that SIGSTOP holds."""
        self.signal(signal.SIGKILL)
        self._process.wait()


def _become(keeper: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The keeper may have died before the line above.
        if os.getppid() != keeper:
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
