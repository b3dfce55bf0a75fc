"""How the tests come by a broker: what is said when something is missing, and nothing half."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.kafka import fetch
from tests.kafka.fetch import KafkaUnavailableError, ensure_jars

ROOT = Path(__file__).resolve().parents[2]
JAVA = """echo 'openjdk version "21.0.1" 2026-01-01' >&2"""
# Maven's `-DoutputDirectory=...` is its last argument.
COPYING = """for last; do :; done; /bin/echo jar > "${last#*=}/kafka.jar" """


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it yet, and an empty place for the jars."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(fetch, "_JARS", tmp_path / "jars")
    return folder


def put(folder: Path, name: str, script: str) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def left(tools: Path) -> list[Path]:
    jars = tools.parent / "jars"
    return list(jars.iterdir()) if jars.exists() else []


@pytest.mark.parametrize(
    ("have", "sentence"),
    [
        ({}, "Java is not here: install Java 17"),
        ({"java": """echo 'openjdk version "11.0.2"' >&2"""}, "needs Java 17 or newer"),
        ({"java": JAVA}, "is not here: install Maven"),
        ({"java": JAVA, "mvn": "echo no network; exit 1"}, "could not fetch .*: no network"),
    ],
)
def test_what_is_missing_is_said(tools: Path, have: dict[str, str], sentence: str) -> None:
    """Java, a Java that is new enough, Maven and its success are each asked for by name."""
    for name, script in have.items():
        put(tools, name, script)
    with pytest.raises(KafkaUnavailableError, match=sentence):
        ensure_jars()
    assert left(tools) == []


def test_jars_are_fetched_once_and_appear_whole(tools: Path) -> None:
    """The second time Maven is not asked any more."""
    put(tools, "java", JAVA)
    put(tools, "mvn", COPYING)
    found = ensure_jars()
    assert [jar.name for jar in found.iterdir()] == ["kafka.jar"]
    (tools / "mvn").unlink()
    assert ensure_jars() == found
    assert left(tools) == [found]


def test_a_fetch_that_broke_off_leaves_nothing_half(tools: Path) -> None:
    """Maven's failure after the first jar leaves no folder that a later run would take."""
    put(tools, "java", JAVA)
    put(tools, "mvn", f"{COPYING}; exit 1")
    with pytest.raises(KafkaUnavailableError):
        ensure_jars()
    assert left(tools) == []


def test_a_broker_dies_with_the_test_run(tmp_path: Path) -> None:
    """After SIGKILL of the process that started it, and whichever thread did, a JVM is gone."""
    put(tmp_path, "java", "exec /bin/sleep 60")
    program = f"""
import sys, threading
from pathlib import Path
from tests.kafka.jvm import Jvm
def start():
    print(Jvm([], Path({str(tmp_path / "out")!r})).pid, flush=True)
thread = threading.Thread(target=start)
thread.start(); thread.join()
sys.stdin.read()
"""
    keeper = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with keeper:
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline())
        assert becomes(pid, "sleep")
        keeper.send_signal(signal.SIGKILL)
    assert becomes(pid, None)


def becomes(pid: int, name: str | None) -> bool:
    """Whether a process gets this name in time; None: whether it ends."""
    deadline = time.monotonic() + 10.0
    while (found := command_of(pid)) != name and time.monotonic() < deadline:
        time.sleep(0.01)
    return found == name


def command_of(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name, _, rest = stat.partition("(")[2].partition(") ")
    return None if rest.startswith("Z") else name
