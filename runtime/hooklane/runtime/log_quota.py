"""How many lines of one kind the log may have. Pure: the caller brings the time.

When a receiver of a million keys goes away, each of its lanes is blocked: an event that matters,
and a million lines that hide all others. So each subject has some lines of a kind in each window,
all subjects together have more, and the next line that may be written says how many were not.
"""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuotaTerms:
    """Lines of one kind in each window: for one subject, and for all of them together."""

    each: int = 10
    all: int = 200
    window_s: float = 60.0


class LogQuota:
    """Remembers the subjects of one window only."""

    def __init__(self, terms: QuotaTerms | None = None) -> None:
        self._terms = terms or QuotaTerms()
        self._ends = 0.0
        self._written: Counter[tuple[str, str]] = Counter()
        self._of_kind: Counter[str] = Counter()
        self._held_back: Counter[str] = Counter()

    def take(self, kind: str, subject: str, now: float) -> int | None:
        """Ask for a line at `now` (monotonic seconds); None: it is not to be written.

        Otherwise how many of this kind were not written since the last one.
        """
        if now >= self._ends:
            self._ends = now + self._terms.window_s
            self._written.clear()
            self._of_kind.clear()
        place = (kind, subject)
        if self._written[place] >= self._terms.each or self._of_kind[kind] >= self._terms.all:
            self._held_back[kind] += 1
            return None
        self._written[place] += 1
        self._of_kind[kind] += 1
        return self._held_back.pop(kind, 0)
