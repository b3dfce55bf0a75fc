"""Where the services' and librdkafka's logs go while something else is shown."""

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
def logging_to(file: Path | None, *, shown: bool) -> Iterator[KnownSecrets]:
    """To `file`; else to stderr if they are to be `shown`; else nowhere.

    Gives the secrets that are kept out of them: whoever learns of one adds it.

    Raises:
        UsageError: the file cannot be written.
    """
    secrets = KnownSecrets()
    if file is None and shown:
        _configure(sys.stderr, secrets)
        yield secrets
        return
    with _opened(file) as stream:
        _configure(stream, secrets)
        yield secrets


def _configure(stream: IO[str], secrets: KnownSecrets) -> None:
    configure_logging(LogSettings(), service="hooklane", secrets=secrets, stream=stream)


def _opened(file: Path | None) -> IO[str]:
    try:
        return Path(os.devnull if file is None else file).open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--log {file} cannot be written ({error.strerror}): name another file."
        ) from error
