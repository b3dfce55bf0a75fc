"""How much of an event partition may be unsettled before it is paused. Pure.

A settled event above the committed offset costs no memory, only its place in the ledger, so the
span of offsets may be wide; what is bounded tightly is what is open. The process' bounds are
shared out among its partitions, each of which keeps a little.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hooklane.fanout.ledger import Ledger
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.partition import EventPartition

_LEAST_DELIVERIES = 32
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """The most that the partitions of one process hold: open deliveries, bytes of open events
    (both together), and offsets between the committed and the last read one (each)."""

    deliveries: int
    bytes: int
    span: int

    def is_full(self, ledger: Ledger, partitions: int) -> bool:
        """Whether to pause this one of `partitions`."""
        return (
            ledger.open_deliveries >= max(_LEAST_DELIVERIES, self.deliveries // partitions)
            or ledger.open_bytes >= max(_LEAST_BYTES, self.bytes // partitions)
            or ledger.span >= self.span
        )

    def has_room(self, ledger: Ledger, partitions: int) -> bool:
        """Whether to go on with a paused one: at half, so that it does not go to and fro."""
        return (
            ledger.open_deliveries * 2 <= max(_LEAST_DELIVERIES, self.deliveries // partitions)
            and ledger.open_bytes * 2 <= max(_LEAST_BYTES, self.bytes // partitions)
            and ledger.span * 2 <= self.span
        )


class Flow:
    """Pauses partitions whose window is full, and resumes them when half of it is free.

    A partition that waits for a schema is as good as full.
    """

    def __init__(
        self,
        window: Window,
        owned: OwnedPartitions,
        pause: Callable[[EventPartition], None],
        resume: Callable[[EventPartition], None],
    ) -> None:
        self._window = window
        self._owned = owned
        self._pause = pause
        self._resume = resume
        # In the order in which they were paused: a set's would be by chance.
        self._paused: dict[EventPartition, None] = {}
        self._closed = False

    def close(self) -> None:
        """Take nothing more until `open`."""
        if not self._closed:
            self._closed = True
            self.grown(self._owned)

    def open(self) -> None:
        """Go on."""
        if self._closed:
            self._closed = False
            self.look()

    def grown(self, partitions: Iterable[EventPartition]) -> None:
        """Events came in, or a partition did."""
        for one in partitions:
            waits = self._closed or one.held is not None
            full = waits or self._window.is_full(one.ledger, len(self._owned))
            if full and one not in self._paused:
                self._paused[one] = None
                self._pause(one)

    def shrunk(self, partition: EventPartition) -> None:
        """A delivery was settled, or a schema has become known."""
        if self._closed or partition.held is not None or partition not in self._paused:
            return
        if self._window.has_room(partition.ledger, max(len(self._owned), 1)):
            del self._paused[partition]
            self._resume(partition)

    def look(self) -> None:
        """Look at all of them, and forget those that have gone."""
        for one in list(self._paused):
            if self._owned.holds(one):
                self.shrunk(one)
            else:
                del self._paused[one]
