"""What does not change during an exploration: the events, who wants them, and how big it may get.

Records are the product's own bytes; `Catalogue` gives each a number and says what it is about, so
that a log is a short tuple of numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from hooklane.fanout import transaction
from hooklane.fanout.delivery import Place
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.rules import Rules
from hooklane.fanout.schedule import Schedule
from hooklane.fanout.settle import Settler
from hooklane.retrier import written
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.intake import Intake
from hooklane.retrier.resolve import Resolver
from hooklane.schemas.book import Entry
from hooklane.schemas.codec import DEAD_LETTERS, LANES, TICKETS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId, LaneNamer, subscriber_digest
from hooklane.schemas.outgoing import Record
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay, LaneKey, TopicNames, split_lane_key, split_task_key

GROUP = "g"
PLACE = Place("orders", "T", 0)
NOW_MS = 1_000
"""The services' clock stands still: what is due later is not due by it."""
LATER_MS = 1_000_000
"""A clock by which everything is due."""


class Late(Enum):
    """What a retrier had given to its producer when it died, and when the broker writes it."""

    BEFORE_RESTORE = "before-restore"
    """All of it, some of it, or nothing, but before the next retrier has restored."""
    RELEASES = "releases"
    """Releases at any later time; the rest is lost."""
    ALL = "all"
    """At any later time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may happen in one run.

    `keys`: the key of each event, one letter an event. One subscription wants all events; with two
    `subscriptions`, the second wants only the first event. `failures`: attempts that end badly, in
    all, `refusals` attempts after which the delivery is given up at once. `retries`: entries of
    the schedule. `fenced`: whether the fan-out's fence may be closed for a while. `rewrites`: how
    many records of the retrier the broker refuses, so that they are written again after others.
    `aborts`: transactions that are aborted for certain.
    """

    keys: str = "aaa"
    subscriptions: int = 1
    failures: int = 2
    refusals: int = 0
    retries: int = 1
    fanout_crashes: int = 1
    retrier_crashes: int = 1
    aborts: int = 0
    fenced: bool = False
    late: Late = Late.BEFORE_RESTORE
    rewrites: int = 0
    redirects_at_once: int = 100


class Visibility(Enum):
    """How the fan-out's share reaches Kafka."""

    TRANSACTION = "transaction"
    ONE_BY_ONE = "one by one"
    """In any order that keeps the order of each log."""
    OFFSET_LAST = "one by one, then the offset"


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes that decide. A mutant puts one of its own in the place of the product's."""

    schedule: type[Schedule] = Schedule
    partition: type[EventPartition] = EventPartition
    backlog: type[Backlog] = Backlog
    intake: type[Intake] = Intake
    records: Callable[..., Iterator[Record]] = transaction.records
    visibility: Visibility = Visibility.TRANSACTION
    fanout_restores_to_high_watermark: bool = True
    retrier_restores_to_high_watermark: bool = True
    reads_blocked_lanes: bool = True
    saves_before_blocked_lanes: bool = False
    """A retrier without its spool saves how far it has read while it is still asking for the
    blocked lanes. Its next start then takes the spool for a whole one."""


class Log(Enum):
    LANES = 0
    BACKLOG = 1
    TIER = 2
    LETTERS = 3


@dataclass(frozen=True, slots=True)
class About:
    """What one record is about. `delivery` is -1 in the lanes log."""

    log: Log
    key: bytes
    tombstone: bool
    number: int
    """The sequence of a lane record, the attempts of a ticket."""
    delivery: int
    text: str


class Subscribers:
    """The subscriptions: documents that never change."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def entry(self, subscription: str) -> Entry | None:
        return self._entries.get(subscription)

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool:
        return subscription not in self._entries


class Scene:
    def __init__(self, bounds: Bounds, parts: Parts) -> None:
        self.bounds, self.parts = bounds, parts
        tier = Delay.parse("5s")
        policy = ServicePolicy(allow_http=True, allow_plaintext_secrets=True, tiers=(tier,))
        schedule = [tier.text] * bounds.retries
        self.entries = {
            name: Entry(validate(_document(name, schedule), policy), 0)
            for name in "st"[: bounds.subscriptions]
        }
        self.book = Subscribers(self.entries)
        self.events = [_event(at, key) for at, key in enumerate(bounds.keys)]
        self.rules = Rules(Settler(GROUP, policy.tiers), policy, 1 << 20, 1 << 20)
        self.resolver = Resolver(policy)
        names = TopicNames()
        self.fanout_layout = transaction.Layout(names, 1, GROUP)
        self.retrier_layout = written.Layout(names, 1, 1 << 20)
        self.tier = tier
        self.catalogue = Catalogue(names, tier, self._deliveries())

    def _deliveries(self) -> list[tuple[LaneId, int]]:
        return [
            (LaneNamer(GROUP, entry.id, entry.uid, "T", 0).lane(event.key), event.offset)
            for event in self.events
            for entry in self.wanting(event)
        ]

    def subscriber(self, delivery: int) -> bytes:
        """Its subscription's digest in a ledger."""
        entries = [entry for event in self.events for entry in self.wanting(event)]
        return subscriber_digest(entries[delivery].id, entries[delivery].uid)

    def wanting(self, event: Event) -> list[Entry]:
        """The subscriptions that match the event."""
        return [one for one in self.entries.values() if one.id == "s" or event.offset == 0]


@dataclass(slots=True)
class Catalogue:
    """Numbers deliveries from 0 and records from 1; a negative one is of an open transaction."""

    names: TopicNames
    tier: Delay
    deliveries: list[tuple[LaneId, int]]
    _numbers: dict[tuple[str, bytes, bytes | None], int] = field(default_factory=dict)
    _about: list[About] = field(default_factory=list)
    _records: list[tuple[bytes, bytes | None]] = field(default_factory=list)

    def number(self, topic: str, key: bytes, value: bytes | None) -> int:
        found = self._numbers.get((topic, key, value))
        if found is None:
            self._about.append(self._judge(topic, key, value))
            self._records.append((key, value))
            found = self._numbers[topic, key, value] = len(self._about)
        return found

    def about(self, number: int) -> About:
        return self._about[abs(number) - 1]

    def record(self, number: int) -> tuple[bytes, bytes | None]:
        """Its key and value."""
        return self._records[abs(number) - 1]

    def delivery(self, lane: str, sequence: int) -> int:
        return self.deliveries.index((LaneId(lane), sequence))

    def lane_name(self, delivery: int) -> str:
        """A delivery in words."""
        lane, sequence = self.deliveries[delivery]
        lanes = list(dict.fromkeys(lane for lane, _ in self.deliveries))
        letter = "" if len(lanes) == 1 else "ABCDEFGH"[lanes.index(lane)]
        return f"{letter}{sequence}"

    def _judge(self, topic: str, key: bytes, value: bytes | None) -> About:
        if topic == self.names.lanes:
            return _about_lane(key, value)
        if topic == self.names.backlog:
            named = split_task_key(key)
            assert named is not None
            delivery = self.delivery(*named)
            text = f"{'task' if value else 'tombstone'} {self.lane_name(delivery)}"
            return About(Log.BACKLOG, key, value is None, 0, delivery, text)
        if topic == self.names.dead_letters:
            letter = DEAD_LETTERS.decode(value or b"")
            delivery = self.delivery(letter.lane, letter.sequence)
            text = f"dead letter {self.lane_name(delivery)}"
            return About(Log.LETTERS, key, False, 0, delivery, text)
        assert topic == self.names.retry(self.tier)
        ticket = TICKETS.decode(value or b"")
        delivery = self.delivery(ticket.lane, ticket.sequence)
        text = f"ticket {self.lane_name(delivery)} attempts {ticket.attempts}"
        return About(Log.TIER, key, False, ticket.attempts, delivery, text)


def _about_lane(key: bytes, value: bytes | None) -> About:
    split = split_lane_key(key)
    assert split is not None
    if split[0] is LaneKey.LEDGER:
        return About(Log.LANES, key, value is None, 0, -1, "ledger")
    sequence = -1 if value is None else LANES.decode(value).sequence
    what = "tombstone" if value is None else str(sequence)
    return About(Log.LANES, key, value is None, sequence, -1, f"{split[0].value} {what}")


def _document(name: str, schedule: list[str]) -> dict[str, object]:
    retry = {"schedule": schedule}
    return {"id": name, "url": "http://127.0.0.1:1/", "uid": "u", "retry": retry}


def _event(offset: int, key: str) -> Event:
    attributes = {"specversion": "1.0", "id": f"{offset}", "source": "/", "type": "t"}
    place = ("orders", "T", 0, offset, NOW_MS)
    return Event(*place, key.encode(), attributes, "application/json", b"{}")
