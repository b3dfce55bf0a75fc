"""Attempts and dead letters as the services write them, for tests of the command line."""

from dataclasses import replace

from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS, LETTER_MARKS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.letter import GivenUp, letter_of
from hooklane.schemas.records import (
    AttemptOutcome,
    DeadLetter,
    DeadLetterReason,
    DeliveryAttempt,
)
from hooklane.schemas.records_operator import Fate, LetterMark
from tests.kafka.records import Outgoing
from tests.support.site import PARTITIONS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def lane_id(number: int) -> LaneId:
    """Lanes that differ in their first digits."""
    return LaneId(f"{number:08x}" + "0" * 24)


def an_attempt(lane: LaneId, sequence: int, started_ms: int, **facts: object) -> DeliveryAttempt:
    """A failed first attempt, unless `facts` say otherwise."""
    attempt = DeliveryAttempt(
        lane=lane,
        sequence=sequence,
        webhook_id=f"msg_{lane}{sequence}",
        subscription="billing",
        uid="u",
        run="",
        topic="events",
        topic_id="t",
        partition=0,
        key=b"c-1",
        event_id=f"e-{sequence}",
        event_type="order.paid",
        attempt=1,
        service="fanout",
        started_ms=started_ms,
        duration_ms=12.345,
        outcome=AttemptOutcome.FAILED,
        reason="status",
        detail="the receiver answered 500 Internal Server Error",
        status=500,
        address="127.0.0.1:80",
        response=b"oh",
        next_ms=started_ms + 5000,
        trace_id=None,
    )
    return replace(attempt, **facts)  # type: ignore[arg-type]


def a_letter(lane: LaneId, sequence: int, at_ms: int, **facts: object) -> DeadLetter:
    """One whose schedule is exhausted, unless `facts` say otherwise."""
    event = Event(
        "events",
        "t",
        0,
        sequence,
        at_ms - HOUR_MS,
        b"c-1",
        {"specversion": "1.0", "id": f"e-{sequence}", "source": "/s", "type": "order.paid"},
        "application/json",
        b'{"n":1}',
    )
    given_up = GivenUp(lane, sequence, f"msg_{sequence}", "billing", "u", "", "g", event)
    last = an_attempt(lane, sequence, at_ms - 1000)
    letter = letter_of(given_up, DeadLetterReason.EXHAUSTED, last, 3, at_ms)
    return replace(letter, **facts)  # type: ignore[arg-type]


def stored_attempt(attempt: DeliveryAttempt) -> Outgoing:
    """Where and when a service writes it."""
    ended_ms = attempt.started_ms + round(attempt.duration_ms)
    return _stored(attempt.lane, ATTEMPTS.encode(attempt), ended_ms)


def stored_letter(letter: DeadLetter) -> Outgoing:
    return _stored(letter.lane, DEAD_LETTERS.encode(letter), letter.at_ms)


def stored_mark(letter: DeadLetter, fate: Fate, at_ms: int) -> Outgoing:
    """Ada has done that with it."""
    mark = LetterMark(letter.lane, letter.sequence, fate, "run", at_ms, "ada")
    return _stored(letter.lane, LETTER_MARKS.encode(mark), at_ms)


def of_a_newer_version(lane: LaneId, at_ms: int) -> Outgoing:
    """A record by a schema that this version does not have."""
    return _stored(lane, b"\xc3\x01newschem" + b"billing", at_ms)


def _stored(lane: LaneId, value: bytes, at_ms: int) -> Outgoing:
    place = lane_partition(lane, PARTITIONS)
    return Outgoing(lane.encode(), value, partition=place, timestamp_ms=at_ms)
