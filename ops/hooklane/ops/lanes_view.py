"""What is known of a lane whose deliveries wait, and how it is shown. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from hooklane.ops.log_selection import key_text, moment
from hooklane.ops.output import Column, Row
from hooklane.retrier.standing import AT_ONCE, Standing, of_task, of_ticket
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import TASKS, CodecError, UnknownSchemaError
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeliveryAttempt, DeliveryTask, RetryTicket
from hooklane.schemas.subscription_parts import State

SHORT = 12
"""How much of a lane's id a table shows: any unique 8 digits name it."""

COLUMNS = (
    Column("lane"),
    Column("subscription"),
    Column("tenant"),
    Column("key"),
    Column("run"),
    Column("topic"),
    Column("partition", align="right"),
    Column("depth", align="right"),
    Column("first_sequence", "first", align="right"),
    Column("attempts", align="right"),
    Column("next"),
    Column("last_error"),
)
TASK_COLUMNS = (
    Column("sequence", align="right"),
    Column("event_id", "event id"),
    Column("type"),
    Column("time"),
    Column("attempts", align="right"),
    Column("unreadable"),
)


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task without its payload."""

    sequence: int
    subscription: str
    uid: str
    run: str
    key: bytes | None
    topic: str
    partition: int
    event_id: str
    event_type: str
    timestamp_ms: int
    redirected_ms: int
    standing: Standing


@dataclass(frozen=True, slots=True)
class UnreadTask:
    """A task that this version cannot read, and why; `newer`: another version can."""

    sequence: int
    why: str
    newer: bool


KnownTask: TypeAlias = TaskFacts | UnreadTask


@dataclass(slots=True, eq=False)
class WaitingLane:
    """A lane with tasks in the backlog: its first ones, in order, and how far the very first is.

    `tasks` may also begin with another one than the lane's first, where a command is about that.
    """

    lane: LaneId
    depth: int
    tasks: Sequence[KnownTask]
    standing: Standing | None = field(init=False)
    ticket: tuple[str, RetryTicket] | None = field(default=None, init=False)
    last: DeliveryAttempt | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.standing = self.first.standing if isinstance(self.first, TaskFacts) else None

    @property
    def first(self) -> KnownTask:
        return self.tasks[0]

    @property
    def halted(self) -> bool:
        return self.standing is not None and self.standing.halted

    @property
    def last_error(self) -> str | None:
        """Why its first task is not delivered, where that is known."""
        return None if self.last is None else self.last.detail or self.last.reason

    def take_ticket(self, tier: str, ticket: RetryTicket) -> None:
        """Of the task's own values and its tickets the highest (attempts, nudge) holds (rule 8)."""
        if ticket.sequence != self.first.sequence:
            return
        standing = of_ticket(ticket)
        if self.standing is not None and self.standing.is_above(standing):
            return
        if self.ticket is None or standing.is_above(of_ticket(self.ticket[1])):
            self.ticket = (tier, ticket)
        if self.standing is None or standing.is_above(self.standing):
            self.standing = standing

    def take_attempt(self, attempt: DeliveryAttempt) -> None:
        """The attempts of a lane come in their order."""
        if attempt.sequence == self.first.sequence:
            self.last = attempt

    def is_of(
        self,
        subscription: str | None,
        keys: frozenset[bytes] | None,
        among: frozenset[str] | None = None,
    ) -> bool:
        """None is any. What cannot be read is of none."""
        if not isinstance(self.first, TaskFacts):
            return subscription is None and keys is None and among is None
        return (
            (subscription is None or self.first.subscription == subscription)
            and (keys is None or self.first.key in keys)
            and (among is None or self.first.subscription in among)
        )


def known_task(sequence: int, value: bytes) -> KnownTask:
    """A backlog record's facts."""
    try:
        return _facts(TASKS.decode(value))
    except CodecError as error:
        newer = isinstance(error, UnknownSchemaError)
        why = "written by a newer version" if newer else "broken"
        return UnreadTask(sequence, f"{why}: {error}", newer)


def _facts(task: DeliveryTask) -> TaskFacts:
    event = task.event
    return TaskFacts(
        sequence=task.sequence,
        subscription=task.subscription,
        uid=task.uid,
        run=task.run,
        key=event.key,
        topic=event.topic,
        partition=event.partition,
        event_id=event.attributes.get("id", ""),
        event_type=event.attributes.get("type", ""),
        timestamp_ms=event.timestamp_ms,
        redirected_ms=task.redirected_ms,
        standing=of_task(task),
    )


def lane_row(lane: WaitingLane, book: SubscriptionBook, now_ms: int) -> Row:
    """Every field of a lane, for a listing and the beginning of its detail view."""
    facts = lane.first if isinstance(lane.first, TaskFacts) else None
    standing, last = lane.standing, lane.last
    state = None if facts is None else subscription_state(book, facts)
    return {
        "lane": lane.lane,
        "subscription": None if facts is None else facts.subscription,
        "subscription_state": state,
        "tenant": None if facts is None else _tenant(book, facts),
        "run": facts.run if facts is not None and facts.run else None,
        "key": None if facts is None else key_text(facts.key),
        "topic": None if facts is None else facts.topic,
        "partition": None if facts is None else facts.partition,
        "depth": lane.depth,
        "first_sequence": lane.first.sequence,
        "redirected_at": None if facts is None else moment(facts.redirected_ms),
        "attempts": None if standing is None else standing.attempts,
        "halted": lane.halted,
        "due": None if standing is None or standing.due_ms == AT_ONCE else moment(standing.due_ms),
        "next": next_try(standing, state, now_ms),
        "last_error": lane.last_error,
        "last_status": None if last is None else last.status,
        "last_attempt_at": None if last is None else moment(last.started_ms),
        "unreadable": lane.first.why if isinstance(lane.first, UnreadTask) else None,
    }


def table_row(row: Row) -> Row:
    """The same with as much of the lane's id as a person needs."""
    return {**row, "lane": str(row["lane"])[:SHORT]}


def columns_for(rows: Sequence[Row]) -> list[Column]:
    """Without the tenant where nobody has one, without the run where nothing is replayed."""
    rare = {"tenant", "run"}
    found = {name for name in rare if any(row.get(name) is not None for row in rows)}
    return [column for column in COLUMNS if column.field not in rare - found]


def task_rows(lane: WaitingLane) -> list[Row]:
    """A row a task; the first one with what its tickets say."""
    rows = [_task_row(task) for task in lane.tasks]
    if lane.standing is not None:
        rows[0] = {**rows[0], "attempts": lane.standing.attempts}
    return rows


def _task_row(task: KnownTask) -> Row:
    if isinstance(task, UnreadTask):
        empty = dict.fromkeys(("event_id", "type", "time", "attempts"))
        return {"sequence": task.sequence, **empty, "unreadable": task.why}
    return {
        "sequence": task.sequence,
        "event_id": task.event_id,
        "type": task.event_type,
        "time": moment(task.timestamp_ms),
        "attempts": task.standing.attempts,
        "unreadable": None,
    }


def ticket_row(lane: WaitingLane) -> Mapping[str, object] | None:
    """The ticket that holds; None where the task's own values do."""
    if lane.ticket is None:
        return None
    tier, ticket = lane.ticket
    return {
        "tier": tier,
        "attempts": ticket.attempts,
        "nudge": ticket.nudge,
        "due": moment(ticket.due_ms),
        "halted": ticket.halted,
    }


def subscription_state(book: SubscriptionBook, facts: TaskFacts) -> str:
    """`active`, `paused`, `disabled`, `deleted`, or `bad` where no document could be read."""
    entry = book.entry(facts.subscription)
    if entry is None:
        unread = any(finding.key == facts.subscription for finding in book.findings())
        return "bad" if unread else "deleted"
    if entry.uid != facts.uid:
        return "deleted"
    return State.DISABLED.value if entry.disabled is not None else entry.subscription.state.value


def _tenant(book: SubscriptionBook, facts: TaskFacts) -> str | None:
    entry = book.entry(facts.subscription)
    return None if entry is None else entry.subscription.tenant


def next_try(standing: Standing | None, state: str | None, now_ms: int) -> datetime | str | None:
    """When it is tried again, in a word where that is no time to come."""
    if standing is None:
        return None
    if standing.halted:
        return "halted"
    if state == State.PAUSED.value:
        return "paused"
    return "at once" if standing.due_ms <= now_ms else moment(standing.due_ms)
