"""`hooklane demo` as somebody runs it: without a terminal, at one, and interrupted."""

import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.by_hand import ENVIRON, Program, started

ENDS_IN_S = 5.0


def figures(said: str) -> dict[str, list[int]]:
    """The numbers of each line of the summary, by its heading."""
    lines = (line.split(maxsplit=1) for line in said.splitlines())
    return {
        words[0]: [int(number) for number in re.findall(r"\b[0-9]+\b", words[1])]
        for words in lines
        if len(words) == 2 and words[0] in SUMMARY
    }


SUMMARY = ("Published", "Delivered", "Retried", "Verified", "Order", "Lanes", "Undisturbed")


def assert_consistent(found: dict[str, list[int]]) -> None:
    """Each figure agrees with the others: deliveries and retries are all requests there were."""
    assert tuple(found) == SUMMARY
    delivered, expected, *each = found["Delivered"]
    retried, refused = found["Retried"]
    verified, requests = found["Verified"]
    released, blocked = found["Lanes"]
    assert found["Published"] == [360]
    assert delivered == expected == sum(each) == 840
    assert each[0] == 360
    assert retried == refused > 0
    assert verified == requests == delivered + refused
    assert found["Order"] == [72]
    assert (released > 1, blocked) == (True, 0)


def test_without_a_terminal(tmp_path: Path) -> None:
    """It ends by itself within 30 s: exit 0, lines of text, consistent figures, nothing left."""
    began = time.monotonic()
    with started("demo", "--log", str(tmp_path / "log"), cwd=tmp_path) as demo:
        code = demo.end(seconds=60)
    assert code == 0, demo.said
    assert "no real Kafka" in demo.said.splitlines()[0]
    assert re.fullmatch(r"PASSED in [0-9.]+ s\.", demo.said.splitlines()[-1])
    assert_consistent(figures(demo.said))
    assert "FAILING" in demo.said
    assert "lanes blocked" in demo.said
    lines = [line for line in demo.said.splitlines() if " events published; " in line]
    assert len(lines) <= time.monotonic() - began + 1
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert "partition.restored" in (tmp_path / "log").read_text()
    assert time.monotonic() - began < 30


def test_at_a_terminal_and_kept(tmp_path: Path) -> None:
    """It draws, ends with the summary, takes a stranger's event, and goes at a Ctrl-C."""
    with started("demo", "--keep", cwd=tmp_path, terminal=True) as demo:
        demo.wait_for("comes here:")
        assert len(re.findall("RECEIVER +NOW +DELIVERED +WAITING +RETRIED", demo.said)) > 20
        assert re.search("warehouse +failing", demo.said)
        assert_consistent(figures(demo.said))
        _do(printed_lines(demo.said), demo, cwd=tmp_path)
        for receiver in ("analytics", "warehouse", "billing"):
            demo.wait_for(f"{receiver:<9}  order.placed  customer-25  sequence", seconds=10)
        demo.type(b"\x03")
        assert demo.end(ENDS_IN_S) == 130
    assert "Traceback" not in demo.said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["no real Kafka", "the retrier", "groups to form", "lanes blocked"]
)
def test_an_interrupt_ends_it(words: str, tmp_path: Path) -> None:
    """Ctrl-C at any moment: exit 130 within 5 s, without a word more and without a remainder."""
    with started("demo", cwd=tmp_path) as demo:
        demo.wait_for(words)
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(ENDS_IN_S) == 130, demo.said
    assert "Traceback" not in demo.said
    assert "rror" not in demo.said
    assert "PASSED" not in demo.said
    assert list(tmp_path.iterdir()) == []


def printed_lines(said: str) -> list[str]:
    """The commands that it says one may type, as they stand there."""
    after = said.split("look at all attempts:")[1]
    return after.split("What the receivers")[0].strip().splitlines()


def _do(lines: Sequence[str], demo: Program, cwd: Path) -> None:
    """Type them; the receiver that they start has the event by then, and is ended."""
    arrived = "until grep -q customer-25 heard; do sleep 0.1; done; kill $!; wait || true"
    typed = "\n".join(lines).replace(" &\n", " > heard 2>&1 &\n")
    done = subprocess.run(
        ["sh", "-euc", f"{typed}\n{arrived}\nrm heard"],
        cwd=cwd,
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + demo.said
    assert "mine created" in done.stdout
    assert "shop.events" in done.stdout
    assert "customer-25" in done.stdout
