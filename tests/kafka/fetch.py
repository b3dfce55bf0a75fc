"""The broker's jars: copied once by Maven into the git-ignored `tests/kafka/jars/`.

`python -m tests.kafka.fetch` fetches them ahead of a test run. Needs Java 17 and Maven; only the
standard library is used, so that it also runs before any package is installed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_POM = _HERE / "pom.xml"
_JARS = _HERE / "jars"
_OLDEST_JAVA = 17
_FETCH_TIMEOUT_S = 300.0


class KafkaUnavailableError(Exception):
    """No broker can be started here; the text is one sentence that says what is missing."""


def ensure_jars() -> Path:
    """The folder with the jars of `pom.xml`, fetched if they are not there yet.

    A folder is named after its `pom.xml` and appears whole, by one rename: a run that was killed,
    and two runs at once, leave nothing half.

    Raises:
        KafkaUnavailableError: Java or Maven is missing, or Maven could not fetch the jars.
    """
    _require_java()
    return fetched("Apache Kafka", _POM, _JARS)


def fetched(
    what: str, pom: Path, place: Path, prepare: Callable[[Path], None] = lambda _: None
) -> Path:
    """The folder in `place` with the dependencies of a `pom.xml`, as `prepare` has left it.

    Raises:
        KafkaUnavailableError: Maven is missing, or could not fetch them.
    """
    wanted = place / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    if wanted.is_dir():
        return wanted
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            f"The tests fetch {what} with Maven, which is not here: install Maven, so that "
            "`mvn` is on the PATH, or name a running cluster in HOOKLANE_TEST_BOOTSTRAP_SERVERS."
        )
    place.mkdir(exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=place))
    try:
        _copy_dependencies(what, maven, pom, partial)
        prepare(partial)
        _put_in_place(partial, wanted)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return wanted


def _copy_dependencies(what: str, maven: str, pom: Path, into: Path) -> None:
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={into}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailableError(
            f"Maven did not fetch {what} within {_FETCH_TIMEOUT_S:.0f} s: check its "
            f"repository, or run `{' '.join(command)}` by hand."
        ) from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise KafkaUnavailableError(f"Maven could not fetch {what}: {said[-2000:]}")


def _put_in_place(partial: Path, wanted: Path) -> None:
    # mkdtemp makes a folder for its owner only; the jars are for every user of this checkout.
    partial.chmod(0o755)
    try:
        partial.rename(wanted)
    except OSError:
        # Another run was faster; its folder is as good as ours.
        if not wanted.is_dir():
            raise


def _require_java() -> None:
    java = shutil.which("java")
    if java is None:
        raise KafkaUnavailableError(
            "The tests run a real Apache Kafka, and Java is not here: install Java "
            f"{_OLDEST_JAVA} or newer, so that `java` is on the PATH, or name a running cluster "
            "in HOOKLANE_TEST_BOOTSTRAP_SERVERS."
        )
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        said = told.strip().partition(os.linesep)[0] or "nothing"
        raise KafkaUnavailableError(
            f"Apache Kafka needs Java {_OLDEST_JAVA} or newer, and `java -version` says "
            f"{said!r}: put a newer one first on the PATH."
        )


def main() -> int:
    """Fetch the jars; a problem is one sentence on stderr and exit code 1."""
    try:
        print(f"Apache Kafka for the tests is in {ensure_jars()}")
    except KafkaUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
