"""What the demonstration shows: a table that lives at a terminal, else a line now and then."""

import sys
from collections.abc import Callable, Sequence
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from hooklane.ops.demo_shop import Subscriber
from hooklane.ops.demo_stage import Stage
from hooklane.ops.demo_verdict import Outcome, Verdict, milliseconds
from hooklane.ops.live_screen import LiveScreen, can_draw

HEAD: Final = "Hooklane demo"
BROKER: Final = "Its broker is the one inside librdkafka, in this process: no real Kafka."
_WIDE: Final = 110


class View(Protocol):
    """Shows the stage while it is open; `every_s` is how often it wants to be told."""

    every_s: float

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, stage: Stage) -> None: ...


def view_for(*, plain: bool, console: Console | None = None) -> View:
    """Live at a terminal that can draw, unless `plain` lines are asked for."""
    console = console or Console()
    return LiveView(console) if can_draw(console) and not plain else PlainView()


class PlainView:
    """A line a second."""

    every_s = 1.0

    def __enter__(self) -> Self:
        _write(f"{HEAD}. {BROKER}")
        return self

    def __exit__(self, *_: object) -> None:
        """Lines need no end."""

    def show(self, stage: Stage) -> None:
        parts = [_in_words(one, stage) for one in stage.outcomes()] if stage.to_publish else []
        _write("; ".join([f"{stage.seconds:4.0f} s  {_progress(stage)}", *parts]))


class LiveView(LiveScreen):
    """One table in place."""

    every_s = 0.2

    def show(self, stage: Stage) -> None:
        self.draw(picture(stage, wide=self.console.width >= _WIDE))


def picture(stage: Stage, *, wide: bool) -> Group:
    """All that is shown at one moment."""
    head = Text.assemble((HEAD, "bold"), f"   {_progress(stage)}   {stage.seconds:.0f} s")
    table = Table(
        box=None, pad_edge=False, padding=(0, 2 if wide else 1, 0, 0), header_style="bold"
    )
    columns = _WIDE_COLUMNS if wide else _COLUMNS
    for title, width, _ in columns:
        # Columns of figures are to the right, and none changes its width while one looks.
        right = title not in _WORDS
        table.add_column(title, justify="right" if right else "left", min_width=width)
    for receiver, outcome in zip(stage.receivers, stage.outcomes(), strict=True):
        table.add_row(*(cell(receiver.subscriber, outcome, stage) for _, _, cell in columns))
    legend = () if wide else (Text(_LEGEND, style="dim"),)
    return Group(head, Text(BROKER, style="dim"), Text(), table, *legend, Text())


def print_verdict(verdict: Verdict) -> None:
    """The summary, and in the last line whether all is well."""
    width = max(len(title) for title, _ in verdict.lines)
    for title, said in verdict.lines:
        _write(f"{title:<{width}}  {said}")
    if verdict.passed:
        _write(f"PASSED in {verdict.seconds:.1f} s.")
        return
    for fault in verdict.faults:
        _write(f"FAULT: {fault}")
    _write(f"FAILED after {verdict.seconds:.1f} s.")


def print_line(line: str) -> None:
    _write(line)


def _progress(stage: Stage) -> str:
    if not stage.to_publish:
        return stage.phase
    return f"{stage.published} of {stage.to_publish} events published"


def _in_words(one: Outcome, stage: Stage) -> str:
    tally = one.tally
    words = [f"{one.name} {tally.delivered} delivered"]
    words += [f"{tally.waiting} waiting"] if tally.waiting else []
    words += [f"{one.blocked} lane{'s' * (one.blocked > 1)} blocked"] if one.blocked else []
    words += [f"{tally.retried} retried"] if tally.retried else []
    words += [] if tally.in_order else ["ORDER BROKEN"]
    words += ["FAILING"] if stage.is_failing(one) else []
    return ", ".join(words)


Cell = Callable[[Subscriber, Outcome, Stage], Text]


def _number(of: Callable[[Outcome], int], style: str = "") -> Cell:
    def cell(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
        value = of(outcome)
        return Text(str(value), style=style if value else "dim")

    return cell


def _name(subscriber: Subscriber, _: Outcome, __: Stage) -> Text:
    return Text(subscriber.name)


def _now(_: Subscriber, outcome: Outcome, stage: Stage) -> Text:
    return Text("failing", style="red") if stage.is_failing(outcome) else Text("ok", style="green")


def _says(subscriber: Subscriber, _: Outcome, __: Stage) -> Text:
    return Text(subscriber.says, style="dim")


def _delivered(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
    return Text(f"{outcome.tally.delivered}/{outcome.tally.expected}")


def _verified(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
    tally = outcome.tally
    return Text("all" if tally.verified == tally.requests else "NOT ALL")


def _order(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
    return Text("kept", style="green") if outcome.tally.in_order else Text("BROKEN", style="red")


def _lanes(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
    return Text(f"{_open(outcome)}/{outcome.blocked}/{outcome.released}")


def _latency(_: Subscriber, outcome: Outcome, __: Stage) -> Text:
    p50, p95 = (milliseconds(outcome.tally.latency_s(share)) for share in (0.5, 0.95))
    return Text(f"{p50}/{p95}".replace(" ms", ""))


def _open(outcome: Outcome) -> int:
    return outcome.tally.lanes - outcome.blocked


_LEGEND: Final = "LANES: open/blocked/released.  P50/P95 MS: from publishing to the 2xx."
_WORDS: Final = frozenset({"RECEIVER", "NOW", "VERIFIED", "ORDER", "WHAT AILS IT"})
_Columns = Sequence[tuple[str, int, Cell]]
_FIRST: Final[_Columns] = (
    ("RECEIVER", 9, _name),
    ("NOW", 7, _now),
    ("DELIVERED", 9, _delivered),
    ("WAITING", 7, _number(lambda one: one.tally.waiting, "yellow")),
    ("RETRIED", 7, _number(lambda one: one.tally.retried, "yellow")),
    ("VERIFIED", 8, _verified),
    ("ORDER", 6, _order),
)
_COLUMNS: Final[_Columns] = (*_FIRST, ("LANES", 7, _lanes), ("P50/P95 MS", 10, _latency))
_WIDE_COLUMNS: Final[_Columns] = (
    *_FIRST,
    ("OPEN LANES", 10, _number(_open)),
    ("BLOCKED", 7, _number(lambda one: one.blocked, "red")),
    ("RELEASED", 8, _number(lambda one: one.released, "green")),
    ("P50/P95 MS", 10, _latency),
    ("WHAT AILS IT", 20, _says),
)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
