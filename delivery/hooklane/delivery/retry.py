"""When a failed delivery comes again. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hooklane.schemas.topics import Delay


@dataclass(frozen=True, slots=True)
class Retry:
    """Again at `due_ms` (milliseconds since the epoch), by way of `tier`."""

    tier: Delay
    due_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The schedule has no further retry."""


GIVE_UP: Final = GiveUp()


class RetryPolicy:
    """A subscription's schedule: one delay for each retry after the first attempt."""

    def __init__(self, schedule: Sequence[Delay]) -> None:
        self._schedule = tuple(schedule)

    def next(self, attempts: int, not_before_ms: int | None, now_ms: int) -> Retry | GiveUp:
        """What follows the failed attempt number `attempts`.

        `not_before_ms` is the receiver's wish (Retry-After): it can only delay, whatever the
        tier.
        """
        if attempts > len(self._schedule):
            return GIVE_UP
        tier = self._schedule[attempts - 1]
        due_ms = now_ms + round(tier.seconds * 1000)
        return Retry(tier, max(due_ms, not_before_ms or 0))
