"""What all parts of one fan-out process share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hooklane.delivery.circuit import Circuits
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.receivers import Receivers
from hooklane.delivery.tracing import EventTracing
from hooklane.fanout.owned import OwnedPartitions
from hooklane.runtime.clock import Clock
from hooklane.runtime.fence import Fence
from hooklane.runtime.metrics import Metrics
from hooklane.schemas.tenants import NO_TENANTS, TenantRules


class Readiness(Protocol):
    """Who wants to know how far the assigned partitions are."""

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None: ...
    def restored(self, partition: tuple[str, int]) -> None: ...
    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None: ...


@dataclass(frozen=True, slots=True)
class Process:
    """The group whose lanes these are, the partitions owned now, and how time is told. `tracing`:
    of events, where they are traced."""

    group: str
    owned: OwnedPartitions
    fence: Fence
    clock: Clock
    metrics: Metrics
    readiness: Readiness
    circuits: Circuits
    limits: RateLimits
    tracing: EventTracing | None = None
    tenants: TenantRules = NO_TENANTS

    def receivers(self) -> Receivers:
        """Who may be attempted now."""
        return Receivers(self.circuits, self.limits, self.clock.monotonic, self.tenants)

    def may_start(self) -> bool:
        """Whether an attempt or a redirect may start now (self-fencing)."""
        return self.fence.is_open(self.clock.monotonic())
