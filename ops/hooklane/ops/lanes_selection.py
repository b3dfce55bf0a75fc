"""Which lanes a command means. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hooklane.ops.lanes_view import WaitingLane


@dataclass(frozen=True, slots=True)
class LaneSelection:
    """None is any. `depth`: at least so many tasks wait. `error`: a part of the last error, in
    whatever case. `due_by_ms`: it is tried again until then, since the epoch. `among`: the
    subscriptions of a tenant."""

    subscription: str | None = None
    keys: frozenset[bytes] | None = None
    halted: bool = False
    depth: int = 1
    error: str | None = None
    due_by_ms: int | None = None
    among: frozenset[str] | None = None

    @property
    def needs_tasks(self) -> bool:
        """Whether what cannot be read cannot be judged."""
        asked = (self.subscription, self.keys, self.error, self.due_by_ms, self.among)
        return any(one is not None for one in asked)

    def may_hold(self, lane: "WaitingLane") -> bool:
        """By the backlog alone."""
        return lane.depth >= self.depth and lane.is_of(self.subscription, self.keys, self.among)

    def is_due(self, lane: "WaitingLane") -> bool:
        """By its tickets too."""
        if self.halted and not lane.halted:
            return False
        if self.due_by_ms is None:
            return True
        return lane.standing is not None and lane.standing.is_due(self.due_by_ms)

    def has_error(self, lane: "WaitingLane") -> bool:
        """By its last attempt."""
        if self.error is None:
            return True
        return self.error.casefold() in (lane.last_error or "").casefold()
