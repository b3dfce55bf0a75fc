"""The schema registry of the tests: fetched once by Maven, unpacked into `tests/registry/app/`.

`python -m tests.registry.fetch` fetches it ahead of a test run. It is Apicurio Registry, which
speaks as Confluent's does and keeps everything in memory here.
"""

import sys
import tarfile
from pathlib import Path

from tests.kafka.fetch import KafkaUnavailableError, fetched

_HERE = Path(__file__).resolve().parent
PROGRAM = "quarkus-run.jar"


def ensure_app() -> Path:
    """The folder with `PROGRAM`, fetched and unpacked if it is not there yet.

    Raises:
        KafkaUnavailableError: Maven is missing, or could not fetch it.
    """
    folder = fetched("Apicurio Registry", _HERE / "pom.xml", _HERE / "app", _unpack)
    return next(folder.rglob(PROGRAM)).parent


def _unpack(folder: Path) -> None:
    for archive in list(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()


def main() -> int:
    """Fetch it; a problem is one sentence on stderr and exit code 1."""
    try:
        print(f"Apicurio Registry for the tests is in {ensure_app()}")
    except KafkaUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
