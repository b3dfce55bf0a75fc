"""Whether requests come in the order of their lanes. Pure: it is told what came and was answered.

A receiver knows a lane by `hooklane-lane`; without it what can be seen of a lane is where the
request arrived, the event's source, its key, and the replay's run. `hooklane-sequence` counts
within that.
"""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

_LANES = 10_000
_IDS = 100_000


class LaneSeen(NamedTuple):
    """A lane as a receiver sees it."""

    path: str
    source: str
    key: str
    run: str


class Order(StrEnum):
    """What a request is in its lane."""

    NEXT = "next"
    """Above everything before it."""
    RETRY = "retry"
    """Refused here before, and back."""
    REPEATED = "repeated"
    """Accepted here before: harmless for who remembers `webhook-id`."""
    OVERTAKING = "overtaking"
    """An earlier one was refused here and has not come back: in order only if it was given up."""
    BROKEN = "broken"
    """Below one that was accepted already, and new."""


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place; `other` is the sequence that it repeats, overtakes or comes after."""

    order: Order
    other: int | None = None


@dataclass(slots=True)
class _Lane:
    accepted: int = -1
    refused: int | None = None


class OrderCheck:
    """Remembers the last 10,000 lanes and 100,000 accepted requests; older ones are forgotten."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[LaneSeen, _Lane] = OrderedDict()
        self._accepted: OrderedDict[str, None] = OrderedDict()

    def place(self, lane: LaneSeen, sequence: int, webhook_id: str) -> Place:
        """Judge a request as it comes, before it is answered."""
        if webhook_id in self._accepted:
            return Place(Order.REPEATED, sequence)
        known = self._lanes.get(lane)
        if known is None:
            return Place(Order.NEXT)
        if sequence <= known.accepted:
            return Place(Order.BROKEN, known.accepted)
        if known.refused is not None and sequence != known.refused:
            if sequence < known.refused:
                return Place(Order.BROKEN, known.refused)
            return Place(Order.OVERTAKING, known.refused)
        return Place(Order.NEXT if known.refused is None else Order.RETRY)

    def accepted(self, lane: LaneSeen, sequence: int, webhook_id: str) -> None:
        """The request was answered with a 2xx."""
        known = self._lane(lane)
        known.accepted = max(known.accepted, sequence)
        if known.refused is not None and known.refused <= sequence:
            known.refused = None
        self._accepted[webhook_id] = None
        if len(self._accepted) > _IDS:
            self._accepted.popitem(last=False)

    def refused(self, lane: LaneSeen, sequence: int) -> None:
        """The request was answered with something else."""
        known = self._lane(lane)
        if sequence > known.accepted:
            known.refused = sequence

    def _lane(self, lane: LaneSeen) -> _Lane:
        known = self._lanes.setdefault(lane, _Lane())
        self._lanes.move_to_end(lane)
        if len(self._lanes) > _LANES:
            self._lanes.popitem(last=False)
        return known
