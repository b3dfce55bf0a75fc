"""The steps of the image, in an environment that has nothing but an interpreter."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_image import normal, pins

ROOT = Path(__file__).resolve().parents[2]
_LIST = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_steps_of_the_image(tmp_path: Path) -> None:
    """What .dockerignore lets through becomes a program that runs with no variable set; it has the
    pinned packages and no other, not even pip."""
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            copy = shutil.copytree if (ROOT / line[1:]).is_dir() else shutil.copy
            copy(ROOT / line[1:], source / line[1:])
    build(source, target)
    assert run(target / "bin" / "hooklane", "--version").startswith("hooklane ")
    assert "HOOKLANE_RETRIER__SPOOL_DIR" in run(target / "bin" / "hooklane", "config", "show")
    found = dict(line.split() for line in run(target / "bin" / "python", "-c", _LIST).splitlines())
    assert found.pop("hooklane")
    # Python 3.11 puts it into each environment.
    found.pop("setuptools", None)
    assert {normal(name): version for name, version in found.items()} == pins("image.txt")


def build(source: Path, target: Path) -> None:
    """Where packages come from is all that is told."""
    index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    interpreter = sys._base_executable  # type: ignore[attr-defined]  # not the tests' environment
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(source.parent), "PYTHON": interpreter, **index}
    steps = ["sh", "requirements/image.sh", str(source), str(target)]
    subprocess.run(steps, cwd=source, env=bare, check=True)


def run(program: Path, *arguments: str) -> str:
    done = subprocess.run(
        [program, *arguments], cwd="/", env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
