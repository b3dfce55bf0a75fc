"""Time as the services read it, so that a simulation can bring its own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a service looks what time it is."""

    def monotonic(self) -> float:
        """Seconds from any beginning, never stepping back: for waits and time-outs."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch: for what is written down. May step."""


class SystemClock:
    """The machine's own."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
