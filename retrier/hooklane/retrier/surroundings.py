"""What all parts of one retrier process share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hooklane.runtime.clock import Clock
from hooklane.runtime.fence import Fence
from hooklane.runtime.metrics import Metrics


class Readiness(Protocol):
    """Who wants to know how far the assigned partitions are."""

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None: ...
    def restored(self, partition: tuple[str, int]) -> None: ...
    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None: ...
    def restoring(self, partition: tuple[str, int], left: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How time is told, whether this process may still believe what it owns, and who watches.

    `grace_s`: how long attempts in flight may go on when a partition is taken away.
    """

    fence: Fence
    clock: Clock
    metrics: Metrics
    readiness: Readiness
    grace_s: float
