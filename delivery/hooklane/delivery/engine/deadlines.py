"""When exchanges that are under way have to end: one timer for each length of time-out."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Generic, TypeVar

T = TypeVar("T")

_EARLY_S = 0.001
"""Timers go by milliseconds: one that fires this much too soon is on time."""


class Deadlines(Generic[T]):
    """Who is under way, and `expire` for whom it takes too long.

    Those of one time-out end in the order in which they began, so a timer for the first of them
    serves all. To set and cancel one for each costs more than the rest of this.
    """

    def __init__(self, expire: Callable[[T], None]) -> None:
        self._expire = expire
        self._lines: dict[float, dict[T, float]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def __iter__(self) -> Iterator[T]:
        return (one for line in list(self._lines.values()) for one in list(line))

    def add(self, one: T, timeout_s: float) -> None:
        """It has begun."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(timeout_s)
        if line is None:
            line = self._lines[timeout_s] = {}
            self._timers[timeout_s] = loop.call_later(timeout_s, self._look, timeout_s)
        line[one] = loop.time() + timeout_s

    def discard(self, one: T, timeout_s: float) -> None:
        """It has ended."""
        line = self._lines.get(timeout_s)
        if line is not None:
            line.pop(one, None)

    def close(self) -> None:
        """Nobody is told of anything any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._lines.clear()
        self._timers.clear()

    def _look(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        line, now = self._lines[timeout_s], loop.time() + _EARLY_S
        for one, _ in list(takewhile(lambda entry: entry[1] <= now, line.items())):
            if line.pop(one, None) is not None:
                self._expire(one)
        # Whoever was told may have begun another one.
        first = next(iter(line.values()), None)
        if first is None:
            del self._lines[timeout_s], self._timers[timeout_s]
        else:
            wait_s = max(first - loop.time(), 0.0)
            self._timers[timeout_s] = loop.call_later(wait_s, self._look, timeout_s)
