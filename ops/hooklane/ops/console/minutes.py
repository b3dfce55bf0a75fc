"""How attempts went, by subscription and minute: what rates, percentiles and charts come from. Pure
but for its lock.

A minute of a subscription that had an attempt is a cell: three counts, and a histogram of durations
whose steps differ by a factor of the square root of two. When there are too many cells the oldest
minute goes.
"""

import math
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock
from typing import Final

from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt

MINUTE_MS: Final = 60_000
OUTCOMES: Final = tuple(AttemptOutcome)
_PLACES: Final = {outcome: place for place, outcome in enumerate(OUTCOMES)}
_COUNTS: Final = len(OUTCOMES)
STEPS_MS: Final = tuple(math.sqrt(2) ** step for step in range(34))
"""Upper bounds of the steps: 1 ms to 93 s; above is the last one."""
_SIZE: Final = _COUNTS + len(STEPS_MS)


@dataclass(slots=True)
class Tally:
    """What happened in some time. `p95_ms` is an upper bound, within 42 percent."""

    cell: list[int] = field(default_factory=lambda: [0] * _SIZE)

    def count(self, outcome: AttemptOutcome) -> int:
        return self.cell[_PLACES[outcome]]

    @property
    def total(self) -> int:
        return sum(self.cell[:_COUNTS])

    @property
    def success(self) -> float | None:
        """Part of the attempts that was accepted; None of none."""
        total = self.total
        return self.count(AttemptOutcome.DELIVERED) / total if total else None

    @property
    def p95_ms(self) -> float | None:
        total = self.total
        if not total:
            return None
        sums = accumulate(self.cell[_COUNTS:])
        return next(
            step for step, below in zip(STEPS_MS, sums, strict=True) if below >= 0.95 * total
        )

    def add(self, other: "array[int]") -> None:
        for place, count in enumerate(other):
            self.cell[place] += count


@dataclass(frozen=True, slots=True)
class LastError:
    """The newest attempt of a subscription that was not accepted, and where its record is."""

    at_ms: int
    said: str
    partition: int
    offset: int


class Minutes:
    """One thread adds, others ask. `history`: minutes that are kept; `most_cells`, `most_errors`:
    bounds, 350 bytes each."""

    def __init__(self, history: int, most_cells: int = 100_000, most_errors: int = 10_000) -> None:
        self._history = history
        self._most_cells = most_cells
        self._most_errors = most_errors
        self._minutes: dict[int, dict[str, array[int]]] = {}
        self._cells = 0
        self._errors: OrderedDict[str, LastError] = OrderedDict()
        self._lock = Lock()

    def add(self, partition: int, offset: int, attempt: DeliveryAttempt, now_ms: int) -> None:
        """An attempt; those of the future or of too long ago are passed over."""
        minute, now = attempt.started_ms // MINUTE_MS, now_ms // MINUTE_MS
        with self._lock:
            if attempt.outcome is not AttemptOutcome.DELIVERED:
                self._note(partition, offset, attempt)
            # A service's clock may be a little ahead.
            if not now - self._history < minute <= now + 5:
                return
            cell = self._cell(minute, attempt.subscription, now)
            cell[_PLACES[attempt.outcome]] += 1
            cell[_COUNTS + step_of(attempt.duration_ms)] += 1

    def tallies(self, since_ms: int) -> dict[str, Tally]:
        """By subscription, of the minutes from that of `since_ms` on."""
        found: dict[str, Tally] = {}
        with self._lock:
            for minute, cells in self._minutes.items():
                if minute >= since_ms // MINUTE_MS:
                    for name, cell in cells.items():
                        found.setdefault(name, Tally()).add(cell)
        return found

    def series(
        self, subscription: str | None, since_ms: int, until_ms: int, width: int
    ) -> list[tuple[int, Tally]]:
        """Tallies of `width` minutes each, oldest first, each with its beginning in ms; None is all
        subscriptions."""
        first = since_ms // MINUTE_MS // width * width
        last = until_ms // MINUTE_MS
        found = {begin: Tally() for begin in range(first, last + 1, width)}
        with self._lock:
            for minute, cells in self._minutes.items():
                tally = found.get(minute // width * width)
                if tally is not None:
                    for cell in _of(cells, subscription):
                        tally.add(cell)
        return [(begin * MINUTE_MS, tally) for begin, tally in found.items()]

    def last_error(self, subscription: str) -> LastError | None:
        with self._lock:
            return self._errors.get(subscription)

    def oldest_ms(self) -> int | None:
        """Since when there are counts."""
        with self._lock:
            return min(self._minutes) * MINUTE_MS if self._minutes else None

    def _cell(self, minute: int, subscription: str, now: int) -> "array[int]":
        cells = self._minutes.get(minute)
        if cells is None:
            cells = self._minutes[minute] = {}
            self._forget_before(now - self._history + 1)
        cell = cells.get(subscription)
        if cell is None:
            cell = cells[subscription] = array("I", bytes(4 * _SIZE))
            self._cells += 1
            while self._cells > self._most_cells and len(self._minutes) > 1:
                self._drop(min(self._minutes))
        return cell

    def _forget_before(self, minute: int) -> None:
        for old in [one for one in self._minutes if one < minute]:
            self._drop(old)

    def _drop(self, minute: int) -> None:
        self._cells -= len(self._minutes.pop(minute))

    def _note(self, partition: int, offset: int, attempt: DeliveryAttempt) -> None:
        known = self._errors.get(attempt.subscription)
        if known is not None and known.at_ms > attempt.started_ms:
            return
        said = (attempt.detail or attempt.reason)[:300]
        self._errors[attempt.subscription] = LastError(attempt.started_ms, said, partition, offset)
        self._errors.move_to_end(attempt.subscription)
        if len(self._errors) > self._most_errors:
            self._errors.popitem(last=False)


def step_of(duration_ms: float) -> int:
    """The place of a duration's step."""
    if duration_ms <= 1:
        return 0
    return min(math.ceil(2 * math.log2(duration_ms) - 1e-9), len(STEPS_MS) - 1)


def _of(cells: dict[str, "array[int]"], subscription: str | None) -> Iterator["array[int]"]:
    if subscription is None:
        yield from cells.values()
    elif subscription in cells:
        yield cells[subscription]
