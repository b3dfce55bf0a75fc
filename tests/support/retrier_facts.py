"""Facts for tests of the retrier: tasks, documents in force, and decisions on a spool in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import (
    Attempt,
    Command,
    WriteAttempt,
    WriteLetter,
    WriteRelease,
    WriteStatus,
    WriteTicket,
    WriteTombstone,
)
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.intake import Intake
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.spool import OwedRelease, Waiting
from hooklane.retrier.standing import TicketPlace, of_task
from hooklane.schemas.book import Entry
from hooklane.schemas.book_status import Status, StatusState
from hooklane.schemas.codec import TASKS, TICKETS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt, DeliveryTask, RetryTicket
from hooklane.schemas.subscription_values import parse_instant
from hooklane.schemas.topics import task_key
from tests.support.fanout_facts import POLICY, entry
from tests.support.memory_spool import MemorySpool
from tests.support.receivers import OpenTo

NOW_MS = 1_000_000
NEVER_MS = NOW_MS * 1_000_000
DELIVERED = Outcome(AttemptOutcome.DELIVERED, "accepted", "the receiver answered 200 OK", 200)
FAILED = Outcome(AttemptOutcome.FAILED, "status", "the receiver answered 500", 500)
REFUSED = Outcome(AttemptOutcome.REFUSED, "give-up-on", "the receiver answered 422", 422)
GONE = Outcome(AttemptOutcome.REFUSED, "gone", "the receiver answered 410 Gone", 410, gone=True)
UNREADABLE = b"\xc3\x01" + b"12345678" + b"of a newer version"
"""A record whose schema this version does not have."""


def lane_id(name: str) -> LaneId:
    return LaneId(blake2b(name.encode(), digest_size=16).hexdigest())


def task(sequence: int, lane: str = "l", subscription: str = "s", **more: Any) -> DeliveryTask:
    """Never attempted; `more`: fields of DeliveryTask."""
    attributes = {
        "specversion": "1.0",
        "id": f"orders-0-{sequence}",
        "source": "kafka://orders",
        "type": "order.created",
    }
    key = ("orders", "T", 7, sequence, 1_000 + sequence, lane.encode())
    fields: dict[str, Any] = {
        "lane": lane_id(lane),
        "sequence": sequence,
        "webhook_id": f"msg_{sequence}",
        "subscription": subscription,
        "uid": "u",
        "run": "",
        "one_shot": False,
        "group": "g",
        "event": Event(*key, attributes, "application/json", b"{}"),
        "config_offset": 0,
        "attempts": 0,
        "due_ms": None,
        "halted": False,
        "redirected_ms": 0,
    }
    return DeliveryTask(**(fields | more))


def waiting(of: DeliveryTask, partition: int = 0) -> Waiting:
    """As the spool has it."""
    return Waiting(
        partition,
        of.lane,
        of.sequence,
        of.subscription,
        of.event.timestamp_ms,
        of_task(of),
        TASKS.encode(of),
    )


def ticket(
    of: DeliveryTask, attempts: int, due_ms: int, *, nudge: int = 0, halted: bool = False
) -> RetryTicket:
    return RetryTicket(of.lane, of.sequence, of.subscription, attempts, nudge, due_ms, halted)


def attempt_record(attempt: Attempt, outcome: Outcome) -> DeliveryAttempt:
    of = attempt.task
    return DeliveryAttempt(
        lane=of.lane,
        sequence=of.sequence,
        webhook_id=of.webhook_id,
        subscription=of.subscription,
        uid=of.uid,
        run=of.run,
        topic=of.event.topic,
        topic_id=of.event.topic_id,
        partition=of.event.partition,
        key=of.event.key,
        event_id=of.event.attributes["id"],
        event_type=of.event.attributes["type"],
        attempt=attempt.number,
        service="retrier",
        started_ms=NOW_MS,
        duration_ms=1.0,
        outcome=outcome.kind,
        reason=outcome.reason,
        detail=outcome.detail,
        status=outcome.status,
        address="127.0.0.1:1",
        response=b"",
        next_ms=None,
        trace_id=None,
    )


class Documents:
    """The book of subscriptions, which the test writes. `position`: how far it has been read."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = {one.id: one for one in entries}
        self.position = 100

    def put(self, name: str = "s", offset: int = 0, **fields: object) -> None:
        self.entries[name] = entry(name, offset, **fields)

    def entry(self, subscription: str) -> Entry | None:
        return self.entries.get(subscription)

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool:
        if self.position <= config_offset:
            return False
        found = self.entries.get(subscription)
        return found is None or found.uid != uid

    def say_gone(self, name: str = "s") -> None:
        """Its receiver has answered 410, and the status record has been read."""
        before = self.entries[name]
        at = parse_instant("2026-11-01T00:00:00Z")
        status = Status(StatusState.DISABLED, "gone", before.offset, at)
        self.entries[name] = replace(before, disabled=status)


class CopyingSpool(MemorySpool):
    """Gives a new object at each reading, as a spool in a file does."""

    def get(self, lane: LaneId, sequence: int) -> Waiting | None:
        return _copy(super().get(lane, sequence))

    def first(self, lane: LaneId) -> Waiting | None:
        return _copy(super().first(lane))

    def following(self, lane: LaneId, sequence: int, enough_bytes: int) -> list[Waiting]:
        return [replace(one) for one in super().following(lane, sequence, enough_bytes)]


def _copy(found: Waiting | None) -> Waiting | None:
    return None if found is None else replace(found)


@dataclass(slots=True)
class Stand:
    """The decisions on a spool in memory; the test plays Kafka and the receivers.

    Every method returns what is to be done now.
    """

    spool: CopyingSpool
    book: Documents
    gate: TaskGate
    backlog: Backlog
    intake: Intake
    open_circuits: set[str]
    most: int
    now_ms: int = NOW_MS

    def restart(self) -> None:
        """Memory is lost, the spool is kept; no partition is restored."""
        self.backlog = Backlog(self.spool, self.gate, Resolver(POLICY), self.most)
        self.intake = Intake(self.spool, self.backlog)

    def redirect(self, *tasks: DeliveryTask, partition: int = 0) -> list[Command]:
        """These are read from the backlog."""
        commands: list[Command] = []
        for of in tasks:
            key = task_key(of.lane, of.sequence)
            commands += self.intake.backlog_record(partition, key, TASKS.encode(of))
        return commands

    def unreadable(self, sequence: int, lane: str = "l") -> None:
        """A task that this version cannot read is read from the backlog."""
        self.intake.backlog_record(0, task_key(lane_id(lane), sequence), UNREADABLE)

    def tombstone(self, sequence: int, lane: str = "l", partition: int = 0) -> list[Command]:
        """A tombstone is read from the backlog."""
        key = task_key(lane_id(lane), sequence)
        return self.intake.backlog_record(partition, key, None)

    def ticket_comes(self, of: RetryTicket, offset: int = 0, tier: str = "5s") -> None:
        self.intake.ticket_record(0, TicketPlace(tier, offset), TICKETS.encode(of))

    def start(self) -> list[Command]:
        """What may begin now."""
        self.backlog.look(self.now_ms)
        return self.backlog.startable(self.now_ms)

    def ends(self, attempt: Attempt, outcome: Outcome) -> list[Command]:
        record = attempt_record(attempt, outcome)
        return self.backlog.attempted(attempt, outcome, record, self.now_ms)

    def ack(self, *commands: Command) -> list[Command]:
        """Kafka has these; attempts among them are left alone."""
        found: list[Command] = []
        for command in commands:
            match command:
                case WriteTicket(of, tier, standing):
                    place = TicketPlace(tier.text, 0)
                    found += self.backlog.ticket_acked(of, standing, place)
                case WriteLetter(of, _):
                    found += self.backlog.letter_acked(of, self.now_ms)
                case WriteTombstone(of):
                    found += self.backlog.tombstone_acked(of)
                case WriteRelease(owed):
                    self.backlog.release_acked(owed)
                case _:
                    pass
        return found


def stand(
    *entries: Entry, partitions: Iterable[int] = (0,), most: int = 100, share: int = 100
) -> Stand:
    """With these documents (one for `s` if none is given); `partitions` are restored."""
    spool, book = CopyingSpool(), Documents(*(entries or (entry(),)))
    circuits: set[str] = set()
    gate = TaskGate(book, OpenTo(circuits.__contains__), share)
    backlog = Backlog(spool, gate, Resolver(POLICY), most)
    for partition in partitions:
        backlog.open(partition)
    return Stand(spool, book, gate, backlog, Intake(spool, backlog), circuits, most)


def release(sequence: int, lane: str = "l", subscription: str = "s") -> WriteRelease:
    """The release of a lane of `task`, as it must be written."""
    place = ("g", "orders", "T", 7, subscription, "u", lane.encode())
    return WriteRelease(OwedRelease(0, lane_id(lane), sequence, *place))


def attempts(commands: Iterable[Command]) -> list[Attempt]:
    return [one for one in commands if isinstance(one, Attempt)]


def tombstones(commands: Iterable[Command]) -> list[WriteTombstone]:
    return [one for one in commands if isinstance(one, WriteTombstone)]


def releases(commands: Iterable[Command]) -> list[WriteRelease]:
    return [one for one in commands if isinstance(one, WriteRelease)]


def sequences(commands: Iterable[Command]) -> list[int]:
    """Of the attempts among them."""
    return [one.task.sequence for one in attempts(commands)]


def words(commands: Iterable[Command]) -> list[str]:
    """What is asked, in order: `attempt 1`, `tombstone 1`, `release 1`, `ticket 1`, `letter 1`."""
    return [word for word in map(_word, commands) if word]


def _word(command: Command) -> str:
    match command:
        case WriteRelease():
            return f"release {command.owed.sequence}"
        case WriteStatus():
            return "status"
        case WriteAttempt():
            return ""
        case _:
            return f"{_WORDS[type(command)]} {command.waiting.sequence}"


_WORDS: dict[type[Command], str] = {
    Attempt: "attempt",
    WriteTombstone: "tombstone",
    WriteTicket: "ticket",
    WriteLetter: "letter",
}
