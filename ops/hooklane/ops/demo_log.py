"""Where the services' and librdkafka's logs go while the demonstration is shown."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hooklane.runtime.errors import UsageError
from hooklane.runtime.log import configure_logging
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings_sections import LogSettings


@contextmanager
def logging_to(file: Path | None, *, shown: bool) -> Iterator[None]:
    """To `file`; else to stderr if they are to be `shown`; else nowhere.

    Raises:
        UsageError: the file cannot be written.
    """
    if file is None and shown:
        _configure(sys.stderr)
        yield
        return
    with _opened(file) as stream:
        _configure(stream)
        yield


def _configure(stream: IO[str]) -> None:
    configure_logging(LogSettings(), service="demo", secrets=KnownSecrets(), stream=stream)


def _opened(file: Path | None) -> IO[str]:
    try:
        return Path(os.devnull if file is None else file).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--log {file} cannot be written ({error.strerror}): name another file."
        ) from error
