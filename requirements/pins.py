"""Writes the pinned requirement files anew: `python requirements/pins.py FOLDER`.

Each set is resolved in a fresh virtual environment from names without versions, the services from
pyproject.toml; a file has what the files that it brings by `-r` lack. Only packages' names and
versions are written, so that no address of an index gets into the repository.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class PinSet:
    """One file: its first line, the files that it brings, and what it is made from."""

    file: str
    purpose: str
    brings: tuple[str, ...]
    names: tuple[str, ...]


def services() -> tuple[str, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return (*project["dependencies"], *project["optional-dependencies"]["services"])


SETS = (
    PinSet("build.txt", "What builds the wheel, pinned.", (), ("hatchling",)),
    PinSet("services.txt", "What the services run with, pinned.", (), services()),
    PinSet(
        "test.txt",
        "What the tests need on top of the services.",
        ("services.txt", "build.txt"),
        (
            "axe-playwright-python",
            "cloudevents",
            "httpx2",
            "hypothesis",
            "playwright",
            "pytest",
            "pytest-asyncio",
            "pytest-timeout",
            "pytest-xdist",
            "slack_sdk",
            "standardwebhooks",
            "stripe",
            "tzdata",
        ),
    ),
    PinSet(
        "bench.txt",
        "What `make bench` needs on top of the tests: the loop to compare with, and a profiler.",
        ("test.txt",),
        ("aiohttp", "py-spy"),
    ),
    PinSet(
        "check.txt",
        "What `make check` needs on top of the tests (mypy reads the tests too).",
        ("test.txt",),
        ("mypy", "ruff", "types-PyYAML"),
    ),
)


def main(folder: Path) -> None:
    pinned: dict[str, list[str]] = {}
    for one in SETS:
        before = sorted({pin for file in brought(one) for pin in pinned[file]})
        found = resolve([*one.names, *before])
        pinned[one.file] = [pin for pin in found if pin not in before]
        lines = [
            f"# {one.purpose} `make pins` writes it anew.",
            *(f"-r {file}" for file in one.brings),
            *pinned[one.file],
        ]
        (folder / one.file).write_text("\n".join(lines) + "\n")


def brought(one: PinSet) -> set[str]:
    """The files that a set brings, also those that they bring."""
    by_file = {found.file: found for found in SETS}
    return set(one.brings).union(*(brought(by_file[file]) for file in one.brings))


def resolve(requirements: list[str]) -> list[str]:
    """`name==version` of everything that these requirements install, sorted by name."""
    with tempfile.TemporaryDirectory(prefix="hooklane-pins-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, *requirements], check=True)
        freeze = [python, "-m", "pip", "freeze", "--disable-pip-version-check"]
        told = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    return sorted(told.split(), key=str.lower)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
