"""What `hooklane dev` shows: a line for whatever happens, and below them a table that lives."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from hooklane.ops.dev_board import Line
from hooklane.ops.dev_words import Said, Tone, short
from hooklane.ops.live_screen import LiveScreen, can_draw
from hooklane.ops.output import printable
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription_parts import State

_WIDE: Final = 110
_SUBSCRIPTIONS: Final = 12
"""More than that do not leave room for the lines above."""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that the table shows at one moment. `waiting`: deliveries in the backlog."""

    phase: str
    events: int
    unmatched: int
    waiting: int
    blocked: int
    lines: Sequence[Line]


class DevView(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def tell(self, line: str) -> None: ...
    def say(self, said: Said) -> None: ...
    def show(self, picture: Picture) -> None: ...


def dev_view(*, plain: bool, console: Console | None = None) -> DevView:
    """Live at a terminal that can draw, unless `plain` lines are asked for."""
    console = console or Console()
    return LiveDevView(console) if can_draw(console) and not plain else PlainDevView()


class PlainDevView:
    """The lines alone, on stdout."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Lines need no end."""

    def tell(self, line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def say(self, said: Said) -> None:
        self.tell(printable(str(said)))

    def show(self, picture: Picture) -> None:
        """Every line has been said already."""


class LiveDevView(LiveScreen):
    """The lines go by above a table that stays."""

    def tell(self, line: str) -> None:
        self.console.print(Text(line))

    def say(self, said: Said) -> None:
        self.console.print(line_of(said))

    def show(self, picture: Picture) -> None:
        self.draw(drawn(picture, self.console.width))


def line_of(said: Said) -> Table:
    """A line as a terminal shows it: what runs over goes on to the right of the time."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    subject = (f"{printable(said.subject)}  ", "dim" if said.tone is Tone.QUIET else "")
    words = Text.assemble(subject, (printable(said.said), said.tone.value))
    grid.add_row(Text(f"{said.at:%H:%M:%S}", style="dim"), words)
    return grid


def drawn(picture: Picture, width: int) -> Group:
    """The table below the lines. The URLs are only where there is room for them."""
    wide = width >= _WIDE
    shown = picture.lines[:_SUBSCRIPTIONS]
    longest = max((len(line.subscription.id) for line in shown), default=0)
    name = min(max(longest, len("SUBSCRIPTION")), 32 if wide else 20)
    left = width - sum(one + 2 for one in (name, 9, 6))
    last = 48 if wide else left
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    # Widths are said: where Rich has to find them, it cuts without an ellipsis.
    table.add_column("SUBSCRIPTION", no_wrap=True, overflow="ellipsis", width=name)
    table.add_column("DELIVERED", justify="right", width=9)
    table.add_column("FAILED", justify="right", width=6)
    table.add_column("LAST", no_wrap=True, overflow="ellipsis", width=last)
    if wide:
        table.add_column("URL", no_wrap=True, overflow="ellipsis", width=left - last - 2)
    for line in shown:
        url = (_short(line.subscription.url, "dim"),) if wide else ()
        failed = Text(str(line.failed), style="yellow" if line.failed else "dim")
        table.add_row(line.subscription.id, str(line.delivered), failed, _last(line), *url)
    more = len(picture.lines) - _SUBSCRIPTIONS
    rest = (Text(f"and {more} more", style="dim"),) if more > 0 else ()
    body = (table, *rest) if picture.lines else (Text("No subscription yet.", style="yellow"),)
    return Group(Text(), Text(progress(picture), style="bold"), *body)


def progress(picture: Picture) -> str:
    """The phase, or what has come and what waits."""
    if picture.phase:
        return f"{picture.phase[:1].upper()}{picture.phase[1:]} ..."
    figures = {
        "events": picture.events,
        "matched nobody": picture.unmatched,
        "deliveries waiting": picture.waiting,
        "lanes blocked": picture.blocked,
    }
    said = ", ".join(f"{name} {value}" for name, value in figures.items() if value)
    return f"{said or 'No event yet'}; Ctrl-C ends"


def _last(line: Line) -> Text:
    if line.subscription.state is not State.ACTIVE:
        return Text(line.subscription.state.value, style="yellow")
    if line.last is None:
        return Text("-", style="dim")
    well = line.last.outcome.kind is AttemptOutcome.DELIVERED
    return _short(short(line.last.outcome), "green" if well else "red")


def _short(words: str, style: str) -> Text:
    """With an ellipsis where it is cut: a column's own is not applied to a `Text`."""
    return Text(words, style=style, overflow="ellipsis", no_wrap=True)
