"""Which lanes wait for the retrier, by subscription, as the fan-out's transactions say."""

from collections import Counter
from collections.abc import Iterable, Sequence

from hooklane.fanout.commit import Write
from hooklane.fanout.redirect import Share
from hooklane.fanout.writer import CommitResult
from hooklane.schemas.lane import LaneId


class LaneBoard:
    """Told of every committed transaction, in order."""

    def __init__(self) -> None:
        self._blocked: dict[LaneId, str] = {}
        self._released: Counter[str] = Counter()

    def committed(self, shares: Iterable[Share]) -> None:
        """In a share the tombstones, which answer releases, come before the new blocks."""
        for share in shares:
            for lane in share.tombstones:
                subscription = self._blocked.pop(lane, None)
                if subscription is not None:
                    self._released[subscription] += 1
            for delivery in share.blocked:
                self._blocked[delivery.lane] = delivery.subscription

    def watched(self, write: Write) -> Write:
        """As `write`, and the board is told of what was committed."""

        async def watched(shares: Sequence[Share], metadata: bytes) -> CommitResult:
            result = await write(shares, metadata)
            if result is CommitResult.COMMITTED:
                self.committed(shares)
            return result

        return watched

    def blocked(self, subscription: str) -> int:
        """Lanes that are blocked now."""
        return sum(one == subscription for one in self._blocked.values())

    def released(self, subscription: str) -> int:
        """Lanes that were released so far; one that was blocked twice counts twice."""
        return self._released[subscription]
