"""How the demonstration looks: at 80 and 160 columns, and without a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hooklane.ops.demo_stage import Stage, empty_stage
from hooklane.ops.demo_tally import Arrival
from hooklane.ops.demo_verdict import Verdict
from hooklane.ops.demo_view import LiveView, PlainView, picture, print_verdict, view_for


def at_work() -> Stage:
    """In the middle of the day: the first receiver has an event, and has refused another."""
    stage = empty_stage(lambda *_: None)
    stage.to_publish, stage.published = 360, 200
    tally = stage.receivers[0].tally
    for name in ("a", "b"):
        tally.expect(name, "k", 1.0)
    seen = Arrival("a", "k", 0, 1, verified=True, accepted=True, at_s=1.5)
    tally.arrive(seen)
    tally.arrive(replace(seen, event_id="b", sequence=1, accepted=False))
    return stage


def drawn(stage: Stage, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(picture(stage, wide=width >= 110))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 160])
def test_everything_fits_its_width(width: int) -> None:
    """No line is longer, nothing is cut off, and a receiver has one line."""
    lines = drawn(at_work(), width)
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    row = next(line for line in lines if line.startswith("analytics"))
    assert row.split()[:7] == ["analytics", "ok", "1/2", "1", "0", "all", "kept"]
    assert "500/500" in row
    assert "200 of 360 events published" in lines[0]


def test_it_says_what_the_broker_is() -> None:
    """Nobody shall take the embedded broker for a Kafka."""
    assert any("no real Kafka" in line for line in drawn(at_work(), 80))


def test_without_a_terminal_there_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One for each look, with what is out of the ordinary in words."""
    view = view_for(plain=False)
    assert isinstance(view, PlainView)
    with view:
        view.show(at_work())
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert "no real Kafka" in said[0]
    assert "200 of 360 events published; analytics 1 delivered, 1 waiting;" in said[1]


def test_at_a_terminal_it_lives() -> None:
    """A terminal gets the table, one that cannot draw does not."""
    assert isinstance(view_for(plain=False, console=Console(force_terminal=True)), LiveView)
    assert isinstance(view_for(plain=True, console=Console(force_terminal=True)), PlainView)
    dumb = Console(force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(view_for(plain=False, console=dumb), PlainView)


def test_the_last_line_says_whether_it_passed(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault is named above it."""
    good = Verdict((("Published", "3 events"), ("Order", "kept")), (), 12.34)
    print_verdict(good)
    assert capsys.readouterr().out == "Published  3 events\nOrder      kept\nPASSED in 12.3 s.\n"
    print_verdict(replace(good, faults=("ill: 1 never came: b",)))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "FAULT: ill: 1 never came: b",
        "FAILED after 12.3 s.",
    ]
