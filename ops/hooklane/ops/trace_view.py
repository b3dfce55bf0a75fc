"""Trails as `hooklane trace` shows them. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hooklane.ops.attempts_view import attempt_row
from hooklane.ops.dead_letters_view import letter_row
from hooklane.ops.lanes_view import TaskFacts, next_try
from hooklane.ops.log_selection import key_text, moment
from hooklane.ops.output import Column, Row, text
from hooklane.ops.trace_desk import Trail
from hooklane.ops.trace_way import Fate, Waiting, Way, fate, why
from hooklane.schemas.event import Event, Unreadable
from hooklane.schemas.lane import unreadable_lane

FIELDS: Final = (
    "event_id", "event_type", "source", "topic", "partition", "offset", "time", "key",
    "unreadable", "dead_letter", "group", "committed", "settled", "ahead", "subscriptions",
)  # fmt: skip
SUBSCRIPTION_FIELDS: Final = (
    "subscription", "tenant", "state", "fate", "why", "objection", "webhook_id", "lane",
    "attempts", "waiting", "dead_letter",
)  # fmt: skip
COLUMNS: Final = (
    Column("subscription"),
    Column("tenant"),
    Column("fate"),
    Column("attempts", align="right"),
    Column("why"),
)
ATTEMPT_COLUMNS: Final = (
    Column("time"),
    Column("subscription"),
    Column("attempt", align="right"),
    Column("service"),
    Column("outcome"),
    Column("status", align="right"),
    Column("address"),
    Column("duration_ms", "ms", align="right"),
    Column("detail"),
)


def concerned(ways: Iterable[Way]) -> list[Way]:
    """Those of subscriptions that the event is for, or was."""
    return [way for way in ways if fate(way) is not Fate.NOT_MATCHED]


def trail_row(trail: Trail, ways: Sequence[Way], now_ms: int) -> Row:
    """Everything of an event, for JSON."""
    record, decoded = trail.found.record, trail.found.decoded
    attributes = decoded.attributes if isinstance(decoded, Event) else {}
    return {
        "event_id": attributes.get("id"),
        "event_type": attributes.get("type"),
        "source": attributes.get("source"),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": moment(record.timestamp_ms),
        "key": key_text(record.key),
        "unreadable": decoded.reason if isinstance(decoded, Unreadable) else None,
        "dead_letter": _unreadable_letter(trail),
        "group": trail.consumed.group,
        "committed": trail.consumed.committed,
        "settled": trail.consumed.settled,
        "ahead": trail.consumed.ahead,
        "subscriptions": [way_row(way, now_ms) for way in ways],
    }


def way_row(way: Way, now_ms: int) -> Row:
    """Everything of an event's way to one subscription."""
    objection = way.objection
    return {
        "subscription": way.entry.id,
        "tenant": way.entry.subscription.tenant,
        "state": way.state,
        "fate": fate(way).value,
        "why": why(way, now_ms),
        "objection": None
        if objection is None
        else {
            "path": objection.path,
            "dialect": objection.dialect,
            "wants": objection.wants,
            "has": objection.has,
        },
        "webhook_id": way.webhook_id,
        "lane": way.lane,
        "attempts": [attempt_row(attempt) for attempt in way.attempts],
        "waiting": None if way.waiting is None else _waiting_row(way, way.waiting, now_ms),
        "dead_letter": None if way.letter is None else letter_row(way.letter),
    }


def table_row(way: Way, now_ms: int) -> Row:
    return {**way_row(way, now_ms), "attempts": len(way.attempts)}


def columns_for(ways: Iterable[Way]) -> list[Column]:
    """Without the tenant where nobody has one."""
    tenants = any(way.entry.subscription.tenant is not None for way in ways)
    return [column for column in COLUMNS if tenants or column.field != "tenant"]


def headlines(trail: Trail) -> Iterator[str]:
    """What is known of the event itself, in two lines."""
    record, decoded, consumed = trail.found.record, trail.found.decoded, trail.consumed
    where = f"{record.topic} partition {record.partition} offset {record.offset}"
    at = text(moment(record.timestamp_ms))
    if isinstance(decoded, Unreadable):
        yield f"A record that is no event at {at}: {where}, key {text(key_text(record.key))}"
        yield f"  {decoded.reason}; once settled it is dead letter {_unreadable_letter(trail)}"
    else:
        name = f"{decoded.attributes['type']} {decoded.attributes['id']}"
        yield f"{name} at {at}: {where}, key {text(key_text(record.key))}"
    if consumed.committed is None:
        yield f"  {consumed.group} has committed nothing in this partition"
    elif consumed.settled:
        yield f"  consumed and settled by {consumed.group}, which is at {consumed.committed}"
    else:
        yield f"  not settled by {consumed.group}, which is at {consumed.committed}"


def attempt_rows(ways: Iterable[Way]) -> list[Row]:
    """Every attempt of these ways, oldest first."""
    attempts = sorted(
        (attempt for way in ways for attempt in way.attempts), key=lambda one: one.started_ms
    )
    return [attempt_row(attempt) for attempt in attempts]


def _waiting_row(way: Way, waiting: Waiting, now_ms: int) -> Row:
    lane = waiting.lane
    first, standing = lane.first, lane.standing
    return {
        "before": waiting.before,
        "depth": lane.depth,
        "first_sequence": first.sequence,
        "first_event_id": first.event_id if isinstance(first, TaskFacts) else None,
        "first_attempts": None if standing is None else standing.attempts,
        "halted": lane.halted,
        "next": next_try(standing, way.state, now_ms),
        "last_error": None if lane.last is None else lane.last.detail or lane.last.reason,
    }


def _unreadable_letter(trail: Trail) -> str | None:
    record = trail.found.record
    if isinstance(trail.found.decoded, Event):
        return None
    group = trail.consumed.group
    lane = unreadable_lane(group, record.topic_id, record.partition, record.offset)
    return f"{lane}:{record.offset}"
