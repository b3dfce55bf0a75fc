"""One owned event partition: from an event and its matches to deliveries. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.fanout.match import Undecided
from hooklane.fanout.redirect import Draft
from hooklane.runtime.group_poll import Consumed
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneNamer, subscriber_digest
from hooklane.schemas.subscription_parts import Ordering


@dataclass(frozen=True, slots=True)
class _Subscriber:
    namer: LaneNamer
    digest: bytes


class EventPartition:
    """The ledger, the lanes and the draft of one event partition, and how events enter them."""

    def __init__(self, place: Place, group: str, inherited: LedgerState, lanes: LaneTable) -> None:
        self.place = place
        self.lanes = lanes
        self.ledger = Ledger(inherited)
        self.draft = Draft(place, self.ledger, lanes)
        self.held: list[Consumed] | None = None
        """Records that wait for a schema, from the first one that needs it; None: none does."""
        self._group = group
        self._subscribers: dict[tuple[str, str], _Subscriber] = {}

    def pass_over(self, offset: int) -> None:
        """The event at `offset` has nothing to deliver."""
        self.ledger.admit(offset, ())

    def admit(self, event: Event, matches: Iterable[Entry], now: float) -> list[Delivery]:
        """The event's deliveries that are not settled, with their lanes. `now`: monotonic s."""
        settled = self.ledger.settled_subscribers(event.offset)
        deliveries = []
        for entry in matches:
            subscriber = self._subscriber(entry.id, entry.subscription.uid)
            if subscriber.digest not in settled:
                deliveries.append(self._delivery(event, entry, subscriber, now))
        size = len(event.data) if deliveries else 0
        waiting = [one.subscriber for one in deliveries]
        self.ledger.admit(event.offset, waiting, size, event.timestamp_ms)
        return deliveries

    def _delivery(
        self, event: Event, entry: Entry, subscriber: _Subscriber, now: float
    ) -> Delivery:
        one_shot = event.key is None or entry.subscription.ordering is Ordering.NONE
        namer = subscriber.namer
        lane = namer.one_shot(event.key, event.offset) if one_shot else namer.lane(event.key)
        return Delivery(
            place=self.place,
            sequence=event.offset,
            lane=lane,
            one_shot=one_shot,
            webhook_id=namer.webhook_id(event.offset),
            subscription=entry.id,
            uid=entry.subscription.uid,
            subscriber=subscriber.digest,
            config_offset=entry.offset,
            event=event,
            admitted=now,
            undecided=entry.reason if isinstance(entry, Undecided) else "",
        )

    def _subscriber(self, subscription: str, uid: str) -> _Subscriber:
        found = self._subscribers.get((subscription, uid))
        if found is None:
            namer = LaneNamer(
                self._group, subscription, uid, self.place.topic_id, self.place.partition
            )
            found = _Subscriber(namer, subscriber_digest(subscription, uid))
            self._subscribers[subscription, uid] = found
        return found
