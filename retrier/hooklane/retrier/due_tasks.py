"""How many tasks could be attempted now, for a scaler, and how many lanes wait for an operator."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog

from hooklane.retrier.gate import Stance, TaskGate
from hooklane.retrier.spool import Spool
from hooklane.runtime.clock import Clock
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

_EVERY_S: Final = 5.0
_MOST: Final = 5_000
_MOST_ASKED: Final = 200


class DueTasks:
    """Only the first task of a lane may be attempted, so these are lanes whose first task is due,
    in the partitions of this process, of subscriptions that are not held (paused, circuit open):
    more processes would help these, and no others.

    Counted up to 5,000, which takes some milliseconds; of subscriptions beyond the 200th that have
    any, one each.
    """

    def __init__(self, spool: Spool, gate: TaskGate, owned: Callable[[], Collection[int]]) -> None:
        self._spool = spool
        self._gate = gate
        self._owned = owned

    def count(self, now_ms: int) -> int:
        """At `now_ms`, milliseconds since the epoch."""
        partitions = self._owned()
        found = asked = 0
        for subscription, due_ms in self._spool.next_due().items():
            is_due = due_ms is not None and due_ms <= now_ms
            if not is_due or self._gate.stance(subscription) is Stance.HELD:
                continue
            asked += 1
            wanted = 1 if asked > _MOST_ASKED else _MOST - found
            found += len(self._spool.due(subscription, now_ms, wanted, partitions))
            if found >= _MOST:
                break
        return found

    def halted(self) -> int:
        """Lanes of this process that are halted, or whose first task this version cannot read."""
        return self._spool.halted(self._owned())


async def keep_counting(
    due: DueTasks, metrics: Metrics, clock: Clock, every_s: float = _EVERY_S
) -> None:
    """Again and again."""
    while True:
        try:
            metrics.backlog_due_tasks.set(due.count(clock.wall_ms()))
            metrics.lanes_halted.set(due.halted())
        except HooklaneError as error:
            # The spool's own work will meet it too, and says what it means.
            log.debug("due.unknown", reason=str(error))
        await asyncio.sleep(every_s)
