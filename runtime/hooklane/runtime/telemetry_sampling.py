"""Which traces are recorded. Pure: the trace id decides, so that every part of a trace agrees.

A trace that somebody else began is recorded if he records it himself and its id, taken for a
number, is in the lowest part `ratio` of all ids (as OpenTelemetry's sampler by trace id has it).
One that begins here gets such an id. So a retry hours later, in another process, decides as the
first attempt did, and whoever has the same ratio downstream does too.
"""

import random
from collections.abc import Callable
from typing import Final

_IDS: Final = 2**64
"""The lower half of an id decides."""


class Sampling:
    """`draw` gives numbers from 0 to 1, 1 left out."""

    def __init__(self, ratio: float, draw: Callable[[], float] = random.random) -> None:
        self._ratio = ratio
        self._bound = round(ratio * _IDS)
        self._draw = draw

    def follows(self, traceparent: str | None) -> bool:
        """Whether the trace of a context is recorded here too. A good `traceparent`, or None."""
        return (
            traceparent is not None
            and int(traceparent[53:55], 16) & 1 == 1
            and int(traceparent[19:35], 16) < self._bound
        )

    def begins(self) -> bool:
        """Whether to begin a trace for something that comes without a context."""
        return self._draw() < self._ratio

    def new_id(self) -> int:
        """The id of a trace that begins here: one that `follows` says yes to."""
        upper = random.getrandbits(64)
        return (upper << 64) | random.randrange(1, max(self._bound, 2))  # noqa: S311 - no secret
