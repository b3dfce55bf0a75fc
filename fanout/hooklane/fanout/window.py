"""How much of an event partition may be unsettled before it is paused. Pure.

A settled event above the committed offset costs no memory, only its place in the ledger, so the
span of offsets may be wide; what is bounded tightly is what is open. The process' bounds are
shared out among its partitions, each of which keeps a little.
"""

from dataclasses import dataclass

from hooklane.fanout.ledger import Ledger

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
