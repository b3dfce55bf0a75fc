"""Chromium for the tests of the console: Debian's package, installed where that can be done.

`python -m tests.support.chromium` installs it ahead of a test run. Only the standard library is
used, so that it also runs before any package is installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMED = "HOOKLANE_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIMEOUT_S = 300.0
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
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    install = [apt, "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A failed update need not matter: a list of packages may be there.
    for command in ([apt, "update"], install):
        try:
            done = subprocess.run(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ChromiumUnavailableError(
                f"apt did not install Chromium within {_TIMEOUT_S:.0f} s: {_ADVICE}"
            ) from error
        if done.returncode == 0 or command is not install:
            continue
        said = (done.stdout + done.stderr).strip()[-1000:]
        raise ChromiumUnavailableError(f"apt could not install Chromium ({said}): {_ADVICE}")


def main() -> int:
    """Install it; a problem is one sentence on stderr, and for the tests of the console alone."""
    try:
        print(f"Chromium for the tests is {ensure_chromium()}")
    except ChromiumUnavailableError as error:
        print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
