"""A chart of outcomes over time as shapes of an SVG: the template writes them down. Pure.

By hand, since plotting libraries bring style attributes, scripts or megabytes (the policy of these
pages allows none of the first two), and a stacked bar is some rectangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from hooklane.ops.console.minutes import OUTCOMES, Tally

WIDTH: Final = 960
HEIGHT: Final = 180
_LEFT: Final = 64
_BOTTOM: Final = 28
_TOP: Final = 18
_GAP: Final = 1.0
_MARKS: Final = 6


class Bar(NamedTuple):
    """A rectangle; `kind` is the outcome, and the class of its colour."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Column(NamedTuple):
    """One time: its bars from below, and what they say in words."""

    bars: tuple[Bar, ...]
    said: str


class Tick(NamedTuple):
    """A line's place, and what stands at it."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`counts`: by outcome, of all that is shown."""

    columns: tuple[Column, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    counts: tuple[tuple[str, int], ...]
    left: int = _LEFT
    width: int = WIDTH
    height: int = HEIGHT
    floor: int = HEIGHT - _BOTTOM


def outcome_chart(series: Sequence[tuple[int, Tally]]) -> Chart:
    """Stacked bars, one a time; `series` as `Minutes.series` gives it."""
    totals = [tally.total for _, tally in series]
    top = nice_top(max(totals, default=0))
    each = (WIDTH - _LEFT) / max(len(series), 1)
    scale = (HEIGHT - _BOTTOM - _TOP) / top
    columns = [
        _column(at_ms, tally, _LEFT + place * each, each, scale)
        for place, (at_ms, tally) in enumerate(series)
    ]
    marks = max(1, -(-len(series) // _MARKS))
    across = [
        Tick(_LEFT + place * each, clock(at_ms))
        for place, (at_ms, _) in enumerate(series)
        if place % marks == 0
    ]
    up = [Tick(HEIGHT - _BOTTOM - part * scale, f"{part:,}") for part in sorted({0, top // 2, top})]
    counts = tuple((one.value, sum(tally.count(one) for _, tally in series)) for one in OUTCOMES)
    return Chart(tuple(columns), tuple(across), tuple(up), counts)


def nice_top(largest: int) -> int:
    """An even number that the largest bar fits below, with few digits that are not nought."""
    if largest <= 2:
        return 2
    step = int(10 ** (len(str(largest)) - 1))
    top = -(-largest // step) * step
    return top + top % 2


def clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M")


def _column(at_ms: int, tally: Tally, x: float, each: float, scale: float) -> Column:
    bars, floor = [], float(HEIGHT - _BOTTOM)
    for outcome in OUTCOMES:
        count = tally.count(outcome)
        if count:
            # A single failure among thousands must be seen.
            height = max(count * scale, 1.5)
            floor -= height
            bars.append(
                Bar(
                    outcome.value,
                    round(x + _GAP / 2, 2),
                    round(floor, 2),
                    round(max(each - _GAP, 0.5), 2),
                    round(height, 2),
                )
            )
    counts = ", ".join(f"{tally.count(one):,} {one.value}" for one in OUTCOMES if tally.count(one))
    return Column(tuple(bars), f"{clock(at_ms)}: {counts or 'none'}")
