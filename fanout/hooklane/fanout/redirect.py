"""What one event partition puts into the next transaction. Pure.

The draft collects what has happened; `take` turns it into a share of a transaction. What is in
the share counts as settled from then on: either the transaction commits, or the very same share
is tried again, or the whole partition is dropped and its next owner begins at the last commit.
"""

from collections import deque
from dataclasses import dataclass, field

from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetter, DeliveryAttempt, RetryTicket
from hooklane.schemas.topics import Delay


@dataclass(frozen=True, slots=True)
class Ticket:
    """A retry ticket and the tier that it goes to."""

    tier: Delay
    record: RetryTicket


@dataclass(frozen=True, slots=True)
class Redirect:
    """A delivery on its way into the backlog, with what its attempt here left behind, if it had
    one: the ticket, and for the log the attempt itself."""

    delivery: Delivery
    attempts: int = 0
    due_ms: int | None = None
    halted: bool = False
    ticket: Ticket | None = None
    last: DeliveryAttempt | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Disabling:
    """A 410 judged the document at `offset` of subscription `id`."""

    id: str
    offset: int
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Share:
    """One event partition's part of a transaction, in the order in which it is written.

    `blocked` gives the highest redirected sequence of each lane, with one of its deliveries.
    `ledger` is None where it has not changed.
    """

    place: Place
    offset: int
    tombstones: tuple[LaneId, ...] = ()
    blocked: tuple[Delivery, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    attempts: tuple[DeliveryAttempt, ...] = ()
    disablings: tuple[Disabling, ...] = ()
    ledger: LedgerState | None = None


class Draft:
    """Collects for one event partition what its next share of a transaction holds."""

    def __init__(self, place: Place, ledger: Ledger, lanes: LaneTable) -> None:
        self._place = place
        self._ledger = ledger
        self._lanes = lanes
        self._redirects: deque[Redirect] = deque()
        self._dead_letters: list[tuple[bytes | None, DeadLetter]] = []
        self._attempts: list[DeliveryAttempt] = []
        self._disablings: list[Disabling] = []
        self._written = ledger.state()
        self._urgent = False

    @property
    def urgent(self) -> bool:
        """Whether something waits that should not wait for the commit interval."""
        return self._urgent

    @property
    def has_changed(self) -> bool:
        """Whether `take` has anything to give."""
        collected = self._redirects or self._dead_letters or self._attempts or self._disablings
        return bool(collected) or self._lanes.has_due or self._ledger.state() != self._written

    def settle(self, delivery: Delivery) -> None:
        """Delivered or discarded: settled without a record."""
        self._ledger.settle(delivery.sequence, delivery.subscriber)

    def attempted(self, record: DeliveryAttempt) -> None:
        self._attempts.append(record)

    def redirect(self, redirect: Redirect) -> None:
        """Comes in sequence order within a lane, and no attempt of the lane is in flight."""
        delivery = redirect.delivery
        if not delivery.one_shot:
            self._lanes.redirect(delivery.lane, delivery.sequence)
        self._redirects.append(redirect)
        self._urgent = True

    def give_up(self, subscriber: bytes, letter: DeadLetter) -> None:
        """The delivery of the event at `letter.offset` to `subscriber` becomes a dead letter."""
        self._dead_letters.append((subscriber, letter))
        self._urgent = True

    def unreadable(self, letter: DeadLetter) -> None:
        """A record that is no event: it has no delivery that could be settled."""
        self._dead_letters.append((None, letter))
        self._urgent = True

    def disable(self, disabling: Disabling) -> None:
        self._disablings.append(disabling)

    def take(self, limit: int) -> Share | None:
        """The next share with at most `limit` redirects, or None where nothing has changed."""
        if not self.has_changed:
            return None
        count = min(limit, len(self._redirects))
        redirects = tuple(self._redirects.popleft() for _ in range(count))
        for redirect in redirects:
            self.settle(redirect.delivery)
        for subscriber, letter in self._dead_letters:
            if subscriber is not None:
                self._ledger.settle(letter.offset, subscriber)
        state = self._ledger.state()
        share = Share(
            place=self._place,
            offset=state.offset,
            tombstones=self._lanes.take_due(),
            blocked=_highest(redirects),
            redirects=redirects,
            dead_letters=tuple(letter for _, letter in self._dead_letters),
            attempts=tuple(self._attempts),
            disablings=tuple(self._disablings),
            ledger=state if _differs(state, self._written) else None,
        )
        self._dead_letters.clear()
        self._attempts.clear()
        self._disablings.clear()
        self._urgent = bool(self._redirects)
        self._written = state
        return share


def _differs(state: LedgerState, written: LedgerState) -> bool:
    return state.settled != written.settled or state.partial != written.partial


def _highest(redirects: tuple[Redirect, ...]) -> tuple[Delivery, ...]:
    """For each lane its highest redirected delivery. One-shot lanes are never blocked."""
    highest: dict[LaneId, Delivery] = {}
    for redirect in redirects:
        if not redirect.delivery.one_shot:
            highest[redirect.delivery.lane] = redirect.delivery
    return tuple(highest.values())
