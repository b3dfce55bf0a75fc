"""Debian's packages that tests need, installed where root asks. Only the standard library."""

import os
import shutil
import subprocess

_TIMEOUT_S = 300.0


class NotInstalledError(Exception):
    """apt did not manage; the text says what it said."""


def install(what: str, *packages: str) -> None:
    """Install `what` by its packages; nothing happens for another user, or without apt.

    Raises:
        NotInstalledError: it did not work.
    """
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    command = [apt, "install", "--yes", "--no-install-recommends", *packages]
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A failed update need not matter: a list of packages may be there.
    try:
        _run([apt, "update"], environ)
        done = _run(command, environ)
    except subprocess.TimeoutExpired as error:
        raise NotInstalledError(f"apt did not install {what} within {_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-1000:]
        raise NotInstalledError(f"apt could not install {what} ({said})")


def _run(command: list[str], environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
