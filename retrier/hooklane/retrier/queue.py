"""Which lanes are due, and whether there is a slot for them. Pure.

The spool knows every lane; here are only a page of due lanes for each subscription that is at its
limit, and the slots that are taken. Subscriptions are looked at in turns: one that is marked
again goes behind the others.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Protocol

from hooklane.retrier.gate import Stance, TaskGate
from hooklane.retrier.spool import Spool
from hooklane.schemas.lane import LaneId

_PAGE = 64


class Tenants(Protocol):
    """What subscriptions of one tenant share (delivery.tenants)."""

    def admits(self, subscription: str) -> bool: ...
    def begins(self, subscription: str) -> None: ...
    def ended(self, subscription: str) -> None: ...
    def due(self) -> list[str]: ...

    @property
    def pause_s(self) -> float | None: ...


class LaneQueue:
    """`max_in_flight` bounds the process, the gate each subscription, `tenants` those that share.

    `open_partitions`: those that may be worked on; the spool knows others too.
    """

    def __init__(
        self,
        spool: Spool,
        gate: TaskGate,
        max_in_flight: int,
        open_partitions: Collection[int],
        tenants: Tenants | None = None,
    ) -> None:
        self._spool = spool
        self._gate = gate
        self._max_in_flight = max_in_flight
        self._open = open_partitions
        self._tenants = tenants
        self.in_flight = 0
        """Slots that are taken."""
        self._slots: Counter[str] = Counter()
        self._marked: dict[str, None] = {}
        self._waiting_for_slots: set[str] = set()
        self._paced: set[str] = set()
        """Subscriptions that wait for their rate limits."""
        self._pages: dict[str, deque[LaneId]] = {}
        """What is left of a subscription's page, so that a slot that gets free does not cost a
        page. Only where some lane of it is at work, so that memory follows the slots."""

    def mark(self, subscription: str) -> None:
        """Something of this subscription may be due."""
        self._marked[subscription] = None

    def look(self, now_ms: int) -> None:
        """Mark all that have become due at `now_ms`."""
        for subscription, due_ms in self._spool.next_due().items():
            due = due_ms is not None and due_ms <= now_ms
            if due or self._gate.stance(subscription) is Stance.EMPTYING:
                self.mark(subscription)

    def marked(self) -> Iterator[str]:
        """The subscriptions to look at, each once, while the process has slots."""
        for subscription in list(self._marked):
            if self.in_flight >= self._max_in_flight:
                return
            del self._marked[subscription]
            yield subscription

    def due_lanes(
        self,
        subscription: str,
        now_ms: int,
        at_work: Callable[[LaneId], bool],
        busy: Callable[[], int],
    ) -> Iterator[LaneId]:
        """Lanes that may have a task to begin, while there are slots for them.

        They may have been found a while ago: whether one is still due, the caller sees by its
        first task. `busy`: how many lanes are at work; they stand among the due ones and are
        passed over.
        """
        self._waiting_for_slots.discard(subscription)
        found = self._pages.pop(subscription, deque[LaneId]())
        begun_before = -1
        while self.has_slot(subscription):
            if not found:
                # A page of which nothing could begin would be found again, and again.
                if begun_before == self._slots[subscription]:
                    return
                begun_before = self._slots[subscription]
                page = self._page(subscription, now_ms, _PAGE + busy())
                found.extend(islice((lane for lane in page if not at_work(lane)), _PAGE))
                if not found:
                    return
            yield found.popleft()
        self._waiting_for_slots.add(subscription)
        if found and self._slots[subscription]:
            self._pages[subscription] = found

    def has_slot(self, subscription: str) -> bool:
        """Whether one more of its lanes may be at work now.

        One whose rate limit says no, or that stands in its tenant's line, is marked by `resume`.
        """
        if (
            self._slots[subscription] >= self._gate.max_in_flight(subscription)
            or self.in_flight >= self._max_in_flight
        ):
            return False
        if self._gate.wait_s(subscription) > 0:
            self._paced.add(subscription)
            return False
        return self._tenants is None or self._tenants.admits(subscription)

    def pause_s(self) -> float | None:
        """Seconds until the first rate limit lets a lane start that waits for it, if one does."""
        pauses = list(map(self._gate.wait_s, self._paced))
        line_s = None if self._tenants is None else self._tenants.pause_s
        if line_s is not None:
            pauses.append(line_s)
        return min(pauses, default=None)

    def resume(self) -> None:
        """Mark those whose rate limits, or whose tenants' lines, let a lane start by now."""
        for subscription in () if self._tenants is None else self._tenants.due():
            self.mark(subscription)
        for subscription in [one for one in self._paced if self._gate.wait_s(one) <= 0]:
            self._paced.discard(subscription)
            self.mark(subscription)

    def take_slot(self, subscription: str) -> None:
        self._slots[subscription] += 1
        self.in_flight += 1
        if self._tenants is not None:
            self._tenants.begins(subscription)

    def free_slot(self, subscription: str) -> None:
        """A lane of it rests, or goes on with another slot."""
        self._slots[subscription] -= 1
        self.in_flight -= 1
        if self._tenants is not None:
            self._tenants.ended(subscription)
        if not self._slots[subscription]:
            del self._slots[subscription]
            self._pages.pop(subscription, None)
        if subscription in self._waiting_for_slots:
            self.mark(subscription)

    def _page(self, subscription: str, now_ms: int, limit: int) -> list[LaneId]:
        if self._gate.stance(subscription) is Stance.EMPTYING:
            return self._spool.lanes_of(subscription, limit, self._open)
        return self._spool.due(subscription, now_ms, limit, self._open)
