"""One process a spool, and whether what it left on the disk can be trusted.

The file is written without waiting for the disk: what a killed process wrote is with the kernel
and is whole, what a machine that went down wrote may be in part on the disk. Which of the two it
was, the lock file tells: while the spool is open it names the boot of the machine, so a spool
that is still "open" under another boot did not end well.
"""

import fcntl
import os
from pathlib import Path

from hooklane.runtime.errors import HooklaneError

_CLOSED = "closed"
_BROKEN = "broken"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SpoolError(HooklaneError):
    """The spool's file or folder fails; what was not committed is rolled back."""


class SpoolLock:
    """The lock file. Held until `release`, or until the process ends, however it ends.

    Raises:
        SpoolError: another process holds it.
        OSError: the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise SpoolError(
                f"another process uses the spool {path.with_suffix('')}: give each retrier "
                "its own HOOKLANE_KAFKA__INSTANCE_ID or HOOKLANE_RETRIER__SPOOL_DIR"
            ) from None
        except OSError:
            os.close(self._fd)
            raise

    def trusts(self) -> bool:
        """Whether the spool was closed, or left by a process that died while the machine ran on."""
        word = os.pread(self._fd, 100, 0).decode(errors="replace")
        return word == _CLOSED or (word != "" and word == _boot())

    def say_open(self) -> None:
        """To be said before the first write to the spool."""
        self._say(_boot())

    def say_closed(self) -> None:
        """To be said after the spool is whole on the disk."""
        self._say(_CLOSED)

    def say_broken(self) -> None:
        """The next opening begins anew."""
        self._say(_BROKEN)

    def release(self) -> None:
        os.close(self._fd)

    def _say(self, word: str) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, word.encode(), 0)
        os.fsync(self._fd)


def _boot() -> str:
    """Which run of the kernel this is; empty where the system does not tell, hence no trust."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
