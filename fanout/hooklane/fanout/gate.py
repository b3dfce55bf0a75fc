"""What may become of the first delivery of a lane, by the facts of this moment. Pure."""

from collections.abc import Mapping
from typing import Protocol

from hooklane.delivery.circuit import Permit
from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.schedule import Verdict
from hooklane.schemas.book import Entry
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import State


class Book(Protocol):
    """The subscriptions as they are now."""

    def entry(self, subscription: str) -> Entry | None: ...


class Receivers(Protocol):
    """Who may be attempted now (delivery.receivers)."""

    def refuses(self, url: str) -> bool: ...
    def wait_s(self, document: Subscription, ahead: int = 0) -> float: ...
    def begins(self, document: Subscription) -> Permit: ...


class LaneGate:
    """The gate of the fan-out. `share`: the most slots one subscription may take of the process.

    `gone` holds, by subscription, the offset of the document that a 410 has judged here: the
    status record says the same to everybody, a moment later.
    """

    def __init__(
        self,
        book: Book,
        lanes: Mapping[Place, LaneTable],
        receivers: Receivers,
        share: int,
    ) -> None:
        self._book = book
        self._lanes = lanes
        self._receivers = receivers
        self._share = share
        self.gone: dict[str, int] = {}

    def judge(self, delivery: Delivery) -> Verdict:
        entry = self.entry(delivery)
        if entry is None or entry.subscription.state is State.DISABLED:
            return Verdict.DISCARD
        if delivery.undecided or self._is_gone(entry):
            return Verdict.GIVE_UP
        if entry.subscription.state is State.PAUSED:
            return Verdict.REDIRECT
        if not delivery.one_shot and self._lanes[delivery.place].is_blocked(delivery.lane):
            return Verdict.REDIRECT
        if self._receivers.refuses(entry.subscription.url):
            return Verdict.REDIRECT
        return Verdict.ATTEMPT

    def _is_gone(self, entry: Entry) -> bool:
        """Whether a 410 has disabled the document."""
        return entry.disabled is not None or self.gone.get(entry.id) == entry.offset

    def entry(self, delivery: Delivery) -> Entry | None:
        """The newest document of the delivery's subscription; None if that is deleted.

        A subscription deleted and made again under the same id is another one: its uid differs.
        """
        entry = self._book.entry(delivery.subscription)
        return entry if entry is not None and entry.subscription.uid == delivery.uid else None

    def tenant(self, subscription: str) -> str | None:
        """Whose it is, as of now."""
        entry = self._book.entry(subscription)
        return None if entry is None else entry.subscription.tenant

    def max_in_flight(self, subscription: str) -> int:
        entry = self._book.entry(subscription)
        wanted = entry.subscription.delivery.max_in_flight if entry is not None else 1
        return min(wanted, self._share)

    def wait_s(self, subscription: str, ahead: int = 0) -> float:
        entry = self._book.entry(subscription)
        return 0.0 if entry is None else self._receivers.wait_s(entry.subscription, ahead)

    def begins(self, delivery: Delivery) -> bool:
        entry = self.entry(delivery)
        return (
            entry is not None and self._receivers.begins(entry.subscription) is not Permit.REFUSED
        )
