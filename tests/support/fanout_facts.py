"""Facts for tests of the fan-out: events, deliveries, documents, and who stands for the outside."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from hooklane.delivery import attempt
from hooklane.delivery.circuit import Circuits
from hooklane.delivery.exchange import Running
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.outcome import Outcome
from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import LedgerState
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process, Readiness
from hooklane.fanout.rules import Rules
from hooklane.fanout.settle import Settler
from hooklane.runtime.fence import Fence
from hooklane.runtime.metrics import Metrics, Service
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


class HandClock:
    """Stands still until the test moves it. `now`: monotonic seconds, `wall`: milliseconds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.wall = 2_000_000

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return self.wall


class Progress:
    """How far the assigned partitions are, as they say it themselves."""

    def __init__(self) -> None:
        self.said: list[tuple[str, list[tuple[str, int]]]] = []

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        self.said.append(("assigned", list(partitions)))

    def restored(self, partition: tuple[str, int]) -> None:
        self.said.append(("restored", [partition]))

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        self.said.append(("revoked", list(partitions)))


SESSION_S = 9.0
"""So that the fence closes three seconds after a poll."""


def process(clock: HandClock | None = None, readiness: Readiness | None = None) -> Process:
    """A process that owns nothing yet, whose last poll is of this moment."""
    clock = clock or HandClock()
    return Process(
        group="g",
        owned=OwnedPartitions(),
        fence=Fence(SESSION_S, 0.5, clock.now),
        clock=clock,
        metrics=Metrics(Service.FANOUT),
        readiness=readiness or Progress(),
        circuits=Circuits(),
        limits=RateLimits(),
    )


def counted(metrics: Metrics, name: str, **labels: str) -> float:
    """What a metric says now."""
    value = metrics.registry.get_sample_value(f"hooklane_{name}", labels)
    assert value is not None, f"there is no metric {name} {labels}"
    return value


def partition(number: int = 0, offset: int = 0, topic: str = "orders") -> EventPartition:
    """An event partition that begins at `offset`; its topic id is the one of `event`."""
    return EventPartition(Place(topic, "T", number), "g", LedgerState(offset), LaneTable())


def rules(max_task_bytes: int = 1 << 20, max_letter_bytes: int = 1 << 20) -> Rules:
    return Rules(Settler("g", TIERS), POLICY, max_task_bytes, max_letter_bytes)


class Book:
    """The subscriptions in force; every event matches all of them."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = {one.id: one for one in entries}

    def entry(self, subscription: str) -> Entry | None:
        return self.entries.get(subscription)

    def match(self, event: Event) -> list[Entry]:
        return list(self.entries.values())


ACCEPTED = Outcome(AttemptOutcome.DELIVERED, "accepted", "the receiver answered 200 OK", 200)
BROKEN = Outcome(AttemptOutcome.FAILED, "status", "the receiver answered 500", 500)
BLOCKED = Outcome(AttemptOutcome.REFUSED, "blocked-address", "10.0.0.1 is private")
GONE = Outcome(AttemptOutcome.REFUSED, "gone", "the receiver answered 410 Gone", 410, gone=True)


class Begun:
    """An attempt that the test ends."""

    def __init__(self, delivery: attempt.Delivery, done: Callable[[attempt.Attempted], None]):
        self.delivery = delivery
        self.cancelled = False
        self._done = done

    def cancel(self) -> None:
        self.cancelled = True

    def end(self, outcome: Outcome) -> None:
        of = delivery(self.delivery.sequence, self.delivery.lane, self.delivery.subscription.id)
        record = attempt_record(of, outcome.kind, self.delivery.attempt)
        self._done(attempt.Attempted(outcome, replace(record, detail=outcome.detail)))


class Attempts:
    """Records which attempts were started."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []

    def start(
        self, delivery: attempt.Delivery, done: Callable[[attempt.Attempted], None]
    ) -> Running:
        self.begun.append(Begun(delivery, done))
        return self.begun[-1]

    @property
    def sequences(self) -> list[int]:
        return [one.delivery.sequence for one in self.begun]


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition of the event loop's own, at most that long."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what changes it is not ours to tell us
            await asyncio.sleep(0.002)


async def settled_loop() -> None:
    """Let everything run that can run without waiting for anything."""
    for _ in range(20):
        await asyncio.sleep(0)
