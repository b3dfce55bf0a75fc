"""Which lanes of one event partition are blocked. Pure.

A lane is blocked while something of it waits in the backlog: `released < blocked`. `blocked` is
the highest sequence that was redirected; only the owner of the event partition raises it.
`released` is the retrier's word that everything up to a sequence is resolved.

    blocked 7, released -     blocked: 8 and 9 follow into the backlog
    blocked 9, released 7     blocked: the retrier had not seen 8 and 9 when it said 7
    blocked 9, released 9     open: both records are answered by tombstones and forgotten

Lanes without a record are open. So memory holds the blocked lanes only, never the keys seen.
"""

from collections.abc import Collection

from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import LaneKey

NEVER = -1


class LaneTable:
    """Raised by redirects and releases; answers whether a lane is blocked.

    Between `restore` and the first `redirect` it takes the records of the lanes topic in their
    order. Afterwards it knows its own writes already, so it takes only releases.
    """

    def __init__(self) -> None:
        self._blocked: dict[LaneId, int] = {}
        self._released: dict[LaneId, int] = {}
        self._due: dict[LaneId, None] = {}

    @property
    def blocked_lanes(self) -> Collection[LaneId]:
        return self._blocked.keys()

    def is_blocked(self, lane: LaneId) -> bool:
        """Whether a delivery of `lane` has to follow into the backlog."""
        return lane in self._blocked

    def restore(self, kind: LaneKey, lane: LaneId, sequence: int | None) -> None:
        """One record of an earlier owner or of the retrier; None is a tombstone."""
        known = self._blocked if kind is LaneKey.BLOCKED else self._released
        if sequence is None:
            known.pop(lane, None)
        else:
            known[lane] = max(sequence, known.get(lane, NEVER))

    def restored(self) -> None:
        """All records are read: lanes that are open by them leave, and are due for tombstones."""
        for lane, sequence in list(self._released.items()):
            if sequence >= self._blocked.get(lane, NEVER):
                self._open(lane)
        self._released.clear()

    def release(self, lane: LaneId, sequence: int) -> bool:
        """The retrier resolved everything up to `sequence`. True: the lane is open now.

        Also a lane that is not known here is answered by tombstones: an earlier owner may have
        forgotten it before its release was repeated.
        """
        if sequence < self._blocked.get(lane, NEVER):
            return False
        self._open(lane)
        return True

    def redirect(self, lane: LaneId, sequence: int) -> None:
        """`sequence` goes into the backlog with the next transaction, and later ones follow it."""
        self._blocked[lane] = max(sequence, self._blocked.get(lane, NEVER))

    @property
    def has_due(self) -> bool:
        """Whether lanes are due for tombstones."""
        return bool(self._due)

    def take_due(self) -> tuple[LaneId, ...]:
        """The lanes whose two records get tombstones, before anything else of the transaction."""
        due = tuple(self._due)
        self._due.clear()
        return due

    def _open(self, lane: LaneId) -> None:
        self._blocked.pop(lane, None)
        self._due[lane] = None
