"""Goes round the halted lanes, some at a time. Pure but for the spool.

A halted lane waits for an operator, and nothing else asks for it. But the subscription that it
belonged to may have been deleted, and made again under the same id: the one that is in force has
other lanes, and what waits for the old one is to be discarded, as it would be if it were due.
"""

from collections.abc import Collection
from typing import Final

from hooklane.retrier.spool import Spool
from hooklane.schemas.lane import LaneId

_SOME: Final = 50
_BEFORE_ALL: Final = LaneId("")


class HaltedLanes:
    """`open_partitions`: those that may be worked on."""

    def __init__(self, spool: Spool, open_partitions: Collection[int]) -> None:
        self._spool = spool
        self._open = open_partitions
        self._partition = 0
        self._after = _BEFORE_ALL

    def some(self) -> list[LaneId]:
        """The next ones of one partition; none where it has no more of them."""
        if self._partition not in self._open:
            self._turn()
        if not self._open:
            return []
        lanes = self._spool.halted_lanes(self._partition, self._after, _SOME)
        if len(lanes) < _SOME:
            self._turn()
        else:
            self._after = lanes[-1]
        return lanes

    def _turn(self) -> None:
        """To the first lane of the next partition."""
        self._after = _BEFORE_ALL
        beyond = [one for one in self._open if one > self._partition]
        self._partition = min(beyond or self._open, default=0)
