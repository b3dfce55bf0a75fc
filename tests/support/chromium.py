"""Chromium for the tests of the console: Debian's package, installed where that can be done.

`python -m tests.support.chromium` installs it ahead of a test run. Only the standard library is
used, so that it also runs before any package is installed.
"""

import os
import shutil
import sys
from pathlib import Path

from tests.support.apt import NotInstalledError, install

NAMED = "HOOKLANE_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ADVICE = (
    "install it (Debian: `apt-get install chromium`), so that `chromium` is on the PATH, or name "
    f"one in {NAMED}."
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class ChromiumUnavailableError(Exception):
    """No browser can be started here; the text is one sentence that says what is missing."""


def ensure_chromium() -> Path:
    """The browser's program, installed if root asks on a machine with apt.

    Raises:
        ChromiumUnavailableError: there is none, and it could not be installed.
    """
    given = os.environ.get(NAMED)
    if given:
        if not Path(given).is_file():
            raise ChromiumUnavailableError(f"{NAMED} names {given}, and that is not there.")
        return Path(given)
    found = _found()
    if found is None:
        _install()
        found = _found()
    if found is None:
        raise ChromiumUnavailableError(
            f"The console is tested in Chromium, and it is not here: {_ADVICE}"
        )
    return found


def _found() -> Path | None:
    paths = (shutil.which(name) for name in _NAMES)
    return next((Path(path) for path in paths if path is not None), None)


def _install() -> None:
    try:
        install("Chromium", "chromium", "fonts-dejavu-core")
    except NotInstalledError as error:
        raise ChromiumUnavailableError(f"{error}: {_ADVICE}") from error


def main() -> int:
    """Install it; a problem is one sentence on stderr, and for the tests of the console alone."""
    try:
        print(f"Chromium for the tests is {ensure_chromium()}")
    except ChromiumUnavailableError as error:
        print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
