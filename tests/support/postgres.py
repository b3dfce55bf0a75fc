"""PostgreSQL for the tests: Debian's package, installed where that can be done.

`python -m tests.support.postgres` installs it ahead of a test run. Only the standard library is
used, so that it also runs before any package is installed.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support.apt import NotInstalledError, install

NAMED = "HOOKLANE_TEST_POSTGRES"
_START_S = 60.0
_ADVICE = (
    "install it (Debian: `apt-get install postgresql`), or name the folder of its programs in "
    f"{NAMED}."
)
_SETTINGS = {
    # Nothing of it outlives the tests.
    "fsync": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


class PostgresUnavailableError(Exception):
    """No server can be started here; the text is one sentence that says what is missing."""


class Postgres:
    """A server in a folder of its own. It may be stopped and started; its port stays."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="hooklane-postgres-"))
        self._user = _plain_user()
        self._process: subprocess.Popen[Any] | None = None
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._make()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def dsn(self, user: str, password: str, database: str) -> str:
        """How it is reached. The administrator is `admin`, and so is his password."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        command = [str(self._programs / "postgres"), "-D", self._data, f"-p{self.port}", *options]
        with (self._folder / "server.log").open("ab") as log:
            self._process = process = subprocess.Popen(
                command, stdout=log, stderr=log, **self._as_user()
            )
        deadline = time.monotonic() + _START_S
        while not self._accepts():
            if process.poll() is not None or time.monotonic() > deadline:
                words = (self._folder / "server.log").read_text(errors="replace")[-2000:]
                raise PostgresUnavailableError(f"PostgreSQL did not start: {words}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as a crash does: sessions are cut off, what was committed stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> None:
        password = self._folder / "password"
        password.write_text("admin\n")
        password.chmod(0o644)
        command = [str(self._programs / "initdb"), "-D", self._data, "-U", "admin", "--no-sync"]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_S,
            **self._as_user(),
        )
        if done.returncode != 0:
            raise PostgresUnavailableError(f"PostgreSQL's initdb failed: {done.stderr[-2000:]}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {"cwd": self._folder}
        return {
            "cwd": self._folder,
            "user": self._user.pw_uid,
            "group": self._user.pw_gid,
            "extra_groups": [],
        }

    def _accepts(self) -> bool:
        """Whether it answers a connection: the port is open a moment before."""
        ready = [str(self._programs / "pg_isready"), "-q", "-h127.0.0.1", f"-p{self.port}"]
        return subprocess.run(ready, check=False).returncode == 0


def ensure_postgres() -> Path:
    """The folder of its programs, installed if root asks on a machine with apt.

    Raises:
        PostgresUnavailableError: there is none, and it could not be installed.
    """
    given = os.environ.get(NAMED)
    if given:
        if not (Path(given) / "initdb").is_file():
            raise PostgresUnavailableError(f"{NAMED} names {given}, and there is no initdb there.")
        return Path(given)
    found = _found()
    if found is None:
        try:
            install("PostgreSQL", "postgresql")
        except NotInstalledError as error:
            raise PostgresUnavailableError(f"{error}: {_ADVICE}") from error
        found = _found()
    if found is None:
        raise PostgresUnavailableError(f"There is no PostgreSQL here for the outbox: {_ADVICE}")
    return found


def _found() -> Path | None:
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if packaged:
        return packaged[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).resolve().parent


def _version(program: Path) -> int:
    name = program.parts[-3]
    return int(name) if name.isdecimal() else 0


def _plain_user() -> pwd.struct_passwd | None:
    """Whose process it is: PostgreSQL refuses to be root's."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailableError("PostgreSQL does not run as root, and there is no other user.")


def main() -> int:
    """Install it; a problem is one sentence on stderr, and for the tests of the outbox alone."""
    try:
        print(f"PostgreSQL for the tests is in {ensure_postgres()}")
    except PostgresUnavailableError as error:
        print(error, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
