"""Facts for tests of the fan-out's decisions: events, deliveries, documents in force."""

from hooklane.fanout.delivery import Delivery, Place
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay

PLACE = Place("orders", "T", 0)
TIERS = (Delay.parse("5s"), Delay.parse("30s"))
POLICY = ServicePolicy(allow_http=True, allow_plaintext_secrets=True, tiers=TIERS)


def event(
    offset: int, key: bytes | None = b"k", data: bytes = b"{}", topic: str = "orders"
) -> Event:
    attributes = {
        "specversion": "1.0",
        "id": f"{topic}-0-{offset}",
        "source": f"kafka://{topic}",
        "type": "order.created",
    }
    return Event(topic, "T", 0, offset, 1_000, key, attributes, "application/json", data)


def entry(name: str = "s", offset: int = 0, **fields: object) -> Entry:
    document = {"id": name, "url": "http://127.0.0.1:1/", "uid": "u", **fields}
    return Entry(validate(document, POLICY), offset)


def delivery(
    sequence: int,
    lane: str = "l",
    subscription: str = "s",
    place: Place = PLACE,
    *,
    one_shot: bool = False,
    subscriber: bytes = b"12345678",
) -> Delivery:
    return Delivery(
        place=place,
        sequence=sequence,
        lane=LaneId(lane),
        one_shot=one_shot,
        webhook_id=f"msg_{sequence}",
        subscription=subscription,
        uid="u",
        subscriber=subscriber,
        config_offset=0,
        event=event(sequence),
        admitted=0.0,
    )


def attempt_record(
    of: Delivery, outcome: AttemptOutcome = AttemptOutcome.FAILED, attempt: int = 1
) -> DeliveryAttempt:
    return DeliveryAttempt(
        lane=of.lane,
        sequence=of.sequence,
        webhook_id=of.webhook_id,
        subscription=of.subscription,
        uid=of.uid,
        run="",
        topic=of.event.topic,
        topic_id=of.event.topic_id,
        partition=of.event.partition,
        key=of.event.key,
        event_id=of.event.attributes["id"],
        event_type=of.event.attributes["type"],
        attempt=attempt,
        service="fanout",
        started_ms=0,
        duration_ms=1.0,
        outcome=outcome,
        reason="status",
        detail="the receiver answered 500",
        status=500,
        address="127.0.0.1:1",
        response=b"",
        next_ms=None,
        trace_id=None,
    )
