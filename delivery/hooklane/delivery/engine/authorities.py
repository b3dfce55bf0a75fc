"""The authorities of the settings: the system's, and those of a file that is read as it changes."""

import ssl
import time
from pathlib import Path
from typing import Final

import structlog

from hooklane.delivery.engine.tls import as_file, verifying_context
from hooklane.runtime.errors import SettingsError

log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 1.0


class Authorities:
    """A `Trust`. `file`: PEM, trusted besides the system's.

    A file that cannot be used is an error at the start; later the last good one stays in force.
    """

    def __init__(self, file: Path | None) -> None:
        """
        Raises:
            SettingsError: the file cannot be read or holds no certificate.
        """
        self._file = file
        self._stamp = _stamp(file)
        self._looked_at = time.monotonic()
        self.version = 0
        """Rises with each change of the file."""
        try:
            self._pem = _pem(file)
            self._context = self.fresh()
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"HOOKLANE_DELIVERY__CA_FILE: {file} cannot be used ({_cause(error)}): it must hold"
                " certificates in PEM."
            ) from error

    def __call__(self) -> ssl.SSLContext:
        now = time.monotonic()
        if self._file is not None and now >= self._looked_at + _LOOK_EVERY_S:
            self._looked_at = now
            self._look()
        return self._context

    def fresh(self) -> ssl.SSLContext:
        """A context of its own that trusts the same, whatever the file holds at this moment."""
        return _trusting(self._pem)

    def _look(self) -> None:
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            pem = _pem(self._file)
            self._context = _trusting(pem)
        except (OSError, ssl.SSLError) as error:
            log.error("authorities.unusable", file=str(self._file), reason=_cause(error))
        else:
            self._pem = pem
            self.version += 1


def _pem(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes()


def _trusting(pem: bytes | None) -> ssl.SSLContext:
    context = verifying_context()
    if pem is not None:
        with as_file(pem) as path:
            context.load_verify_locations(path)
    return context


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    try:
        status = None if file is None else file.stat()
    except OSError:
        return None
    return None if status is None else (status.st_ino, status.st_mtime_ns, status.st_size)


def _cause(error: OSError) -> str:
    return error.strerror or (error.reason if isinstance(error, ssl.SSLError) else str(error))
