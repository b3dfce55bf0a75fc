"""What does not change during an exploration: the events, who wants them, and how big it may get.

Records are the product's own bytes; `Catalogue` gives each a number and says what it is about, so
that a log is a short tuple of numbers.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

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
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.codec import DEAD_LETTERS, LANES, TASKS, TICKETS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId, LaneNamer, subscriber_digest
from hooklane.schemas.outgoing import Record
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay, LaneKey, TopicNames, split_lane_key, split_task_key

GROUP = "g"
NOW_MS = 1_000
"""The services' clock stands still: what is due later is not due by it."""
LATER_MS = 1_000_000
"""A clock by which everything is due."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may happen in one run.

    `keys`: the key of each event, one letter an event; `again`: those of the events that come once
    the topic was deleted and made again. One subscription wants all events; with two
    `subscriptions`, the second wants only the first event. `failures`: attempts that end badly, in
    all, `refusals` attempts after which the delivery is given up at once. `retries`: entries of
    the schedule, each with a tier of its own up to two.

    `fanout_crashes`, `retrier_crashes`: owners that die; `fanout_zombies`, `retrier_zombies`: those
    that are cut off, and go on as they like beside their successor. `aborts`: transactions of the
    fan-out that are aborted for certain. `fenced`: whether the fan-out's fence may be closed for a
    while. `halts`: a delivery given up is halted, and an operator lets it be tried again; `skips`:
    how many an operator gives up. `unread`: the retrier has not read the subscription at first.
    `two_spools`: the partition may go to a retrier elsewhere, and come back to the spool that it
    left. `idle_zombies`: an owner that was cut off only writes what it has.

    `reduced`: without steps of which explore's text says why they lead to nothing new.
    """

    keys: str = "aaa"
    again: str = ""
    subscriptions: int = 1
    failures: int = 2
    refusals: int = 0
    retries: int = 1
    fanout_crashes: int = 1
    retrier_crashes: int = 1
    fanout_zombies: int = 0
    retrier_zombies: int = 0
    aborts: int = 0
    fenced: bool = False
    halts: bool = False
    skips: int = 0
    unread: bool = False
    two_spools: bool = False
    idle_zombies: bool = False
    redirects_at_once: int = 100
    reduced: bool = True


class Visibility(Enum):
    """How what an owner writes reaches Kafka."""

    TRANSACTION = "transaction"
    ONE_BY_ONE = "one by one"
    """In any order that keeps the order of each log."""
    OFFSET_LAST = "one by one, then the offset"
    WHILE_OWNER = "in a transaction, but one by one after it was cut off"


class Follower:
    """What a retrier knows of the subscriptions: the book, once it has read it."""

    def __init__(self, book: SubscriptionBook) -> None:
        self.book = book

    def entry(self, subscription: str) -> Entry | None:
        return self.book.entry(subscription)

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool:
        return self.book.is_deleted(subscription, config_offset, uid)


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes that decide. A mutant puts one of its own in the place of the product's."""

    schedule: type[Schedule] = Schedule
    partition: type[EventPartition] = EventPartition
    backlog: type[Backlog] = Backlog
    intake: type[Intake] = Intake
    resolver: type[Resolver] = Resolver
    follower: type[Follower] = Follower
    records: Callable[..., Iterator[Record]] = transaction.records
    record_of: Callable[[written.Write, written.Layout, int], Record] = written.record_of
    visibility: Visibility = Visibility.TRANSACTION
    retrier_visibility: Visibility = Visibility.TRANSACTION
    generation_is_checked: bool = True
    """A transaction of an owner that was cut off is refused by the group."""
    waits_for_predecessor: bool = True
    """A new owner asks for the committed offset, which is told when no transaction is open that
    the group has taken offsets from."""
    lane_tombstones_apart: bool = False
    fanout_restores_to_high_watermark: bool = True
    retrier_restores_to_high_watermark: bool = True
    reads_blocked_lanes: bool = True
    saves_before_blocked_lanes: bool = False
    """A retrier without its spool saves how far it has read while it is still asking for the
    blocked lanes. Its next start then takes the spool for a whole one."""
    topic_id_in_lanes: bool = True
    looks_after_orphans: bool = True


class Log(IntEnum):
    LANES = 0
    BACKLOG = 1
    TIER = 2
    LATER_TIER = 3
    LETTERS = 4
    """Not kept as a log: what is in it is part of the truth."""


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


class Named(NamedTuple):
    """A delivery by its names; by lane and sequence there is one, or the lane ids are wrong."""

    lane: LaneId
    sequence: int
    topic_id: str
    subscription: str


class Scene:
    def __init__(self, bounds: Bounds, parts: Parts) -> None:
        self.bounds, self.parts = bounds, parts
        self.delays = tuple(Delay.parse(text) for text in ("5s", "30s"))
        policy = ServicePolicy(allow_http=True, allow_plaintext_secrets=True, tiers=self.delays)
        self.unread_book, self.book = SubscriptionBook(policy), SubscriptionBook(policy)
        for offset, name in enumerate("st"[: bounds.subscriptions]):
            document = json.dumps(_document(name, bounds)).encode()
            self.book.read(offset, name.encode(), document)
        self.entries = {entry.id: entry for entry in self.book}
        self.eras = tuple(
            [_event(at, key, topic_id) for at, key in enumerate(keys)]
            for keys, topic_id in ((bounds.keys, "T"), (bounds.again, "U"))
        )
        self.rules = Rules(Settler(GROUP, policy.tiers), policy, 1 << 20, 1 << 20)
        self.resolver = parts.resolver(policy)
        names = TopicNames()
        self.fanout_layout = transaction.Layout(names, 1, GROUP)
        self.retrier_layout = written.Layout(names, 1, 1 << 20)
        self.catalogue = Catalogue(names, self.delays, self._deliveries())

    def place(self, era: int) -> Place:
        """The event partition, of the topic or of the one that was made again."""
        return Place("orders", "TU"[era] if self.parts.topic_id_in_lanes else "T", 0)

    def _deliveries(self) -> list[Named]:
        return [
            Named(
                LaneNamer(GROUP, entry.id, entry.uid, self.place(era).topic_id, 0).lane(event.key),
                event.offset,
                event.topic_id,
                entry.id,
            )
            for era, events in enumerate(self.eras)
            for event in events
            for entry in self.wanting(event)
        ]

    def subscriber(self, delivery: int) -> bytes:
        """Its subscription's digest in a ledger."""
        entry = self.entries[self.catalogue.deliveries[delivery].subscription]
        return subscriber_digest(entry.id, entry.uid)

    def wanting(self, event: Event) -> list[Entry]:
        """The subscriptions that match the event."""
        return [one for one in self.entries.values() if one.id == "s" or event.offset == 0]


@dataclass(slots=True)
class Catalogue:
    """Numbers deliveries from 0 and records from 1."""

    names: TopicNames
    delays: tuple[Delay, ...]
    deliveries: list[Named]
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
        return self._about[number - 1]

    def record(self, number: int) -> tuple[bytes, bytes | None]:
        """Its key and value."""
        return self._records[number - 1]

    def delivery(self, lane: str, sequence: int, topic_id: str | None = None) -> int:
        return next(
            at
            for at, one in enumerate(self.deliveries)
            if (one.lane, one.sequence) == (lane, sequence) and topic_id in (None, one.topic_id)
        )

    def lane_name(self, delivery: int) -> str:
        """A delivery in words."""
        named = self.deliveries[delivery]
        lanes = list(dict.fromkeys((one.topic_id, one.lane) for one in self.deliveries))
        letter = "" if len(lanes) == 1 else "ABCDEFGH"[lanes.index((named.topic_id, named.lane))]
        return f"{letter}{named.sequence}"

    def _judge(self, topic: str, key: bytes, value: bytes | None) -> About:
        if topic == self.names.lanes:
            return _about_lane(key, value)
        if topic == self.names.backlog:
            return self._about_task(key, value)
        if topic == self.names.dead_letters:
            letter = DEAD_LETTERS.decode(value or b"")
            delivery = self.delivery(letter.lane, letter.sequence)
            text = f"dead letter {self.lane_name(delivery)}"
            return About(Log.LETTERS, key, False, 0, delivery, text)
        tiers = [self.names.retry(delay) for delay in self.delays]
        ticket = TICKETS.decode(value or b"")
        delivery = self.delivery(ticket.lane, ticket.sequence)
        said = "halted" if ticket.halted else f"nudge {ticket.nudge}" if ticket.nudge else ""
        text = f"ticket {self.lane_name(delivery)} attempts {ticket.attempts} {said}".rstrip()
        log = (Log.TIER, Log.LATER_TIER)[tiers.index(topic)]
        return About(log, key, False, ticket.attempts, delivery, text)

    def _about_task(self, key: bytes, value: bytes | None) -> About:
        named = split_task_key(key)
        assert named is not None
        topic_id = None if value is None else TASKS.decode(value).event.topic_id
        delivery = self.delivery(*named, topic_id)
        text = f"{'task' if value else 'tombstone'} {self.lane_name(delivery)}"
        return About(Log.BACKLOG, key, value is None, 0, delivery, text)


def _about_lane(key: bytes, value: bytes | None) -> About:
    split = split_lane_key(key)
    assert split is not None
    if split[0] is LaneKey.LEDGER:
        return About(Log.LANES, key, value is None, 0, -1, "ledger")
    sequence = -1 if value is None else LANES.decode(value).sequence
    what = "tombstone" if value is None else str(sequence)
    return About(Log.LANES, key, value is None, sequence, -1, f"{split[0].value} {what}")


def _document(name: str, bounds: Bounds) -> dict[str, object]:
    schedule = [("5s", "30s")[min(at, 1)] for at in range(bounds.retries)]
    on_exhausted = "halt" if bounds.halts else "dead-letter"
    retry = {"schedule": schedule, "on_exhausted": on_exhausted}
    return {"id": name, "url": "http://127.0.0.1:1/", "uid": "u", "retry": retry}


def _event(offset: int, key: str, topic_id: str) -> Event:
    attributes = {"specversion": "1.0", "id": f"{offset}", "source": "/", "type": "t"}
    place = ("orders", topic_id, 0, offset, NOW_MS)
    return Event(*place, key.encode(), attributes, "application/json", b"{}")
