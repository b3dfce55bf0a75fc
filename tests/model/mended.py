"""Decisions that the explorer found wanting, mended: to look for what else there is behind them.

A class leaves this file when the product's own has been mended.
"""

from hooklane.fanout.schedule import Schedule, _Lane
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Command
from hooklane.retrier.spool import Waiting
from tests.model.scene import Parts


class MendedSchedule(Schedule):
    """A lane of which a redirect has been decided, but not carried out, is as good as blocked."""

    def _passes_gate(self, lane: _Lane) -> bool:
        if any(one.lane == lane.name for one in self._steps.redirect):
            self._steps.redirect.extend(lane.waiting)
            lane.waiting.clear()
        return super()._passes_gate(lane)


class MendedBacklog(Backlog):
    """No release goes out before the partition is restored: the lane may have tasks yet unread."""

    def _owe(self, waiting: Waiting) -> list[Command]:
        commands = super()._owe(waiting)
        return commands if waiting.partition in self._open else []

    def tombstone_acked(self, waiting: Waiting) -> list[Command]:
        """Each is owed, for the last one to be acknowledged need not be the highest."""
        self._owe(waiting)
        return super().tombstone_acked(waiting)


MENDED = Parts(schedule=MendedSchedule, backlog=MendedBacklog, saves_before_blocked_lanes=False)
