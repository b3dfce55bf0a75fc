"""Hooklane's own records as Python values. Their `.avsc` files in `avro/` are the contract.

Nobody changes one. Tasks and attempts, one of which is made for each delivery, are not frozen all
the same: to make a frozen one takes half as long again.
"""

from dataclasses import dataclass
from enum import StrEnum

from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId


class AttemptOutcome(StrEnum):
    """How one attempt ended. The metric `hooklane_delivery_attempts_total` has the same words."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """Comes again."""
    REFUSED = "refused"
    """Given up for good: by our own guard, by a 410, or by `retry.give_up_on`."""


class DeadLetterReason(StrEnum):
    """Why a delivery was given up."""

    EXHAUSTED = "exhausted"
    """The schedule has no further retry."""
    REFUSED = "refused"
    """A blocked address, an invalid URL, or a status named in `retry.give_up_on`."""
    DISABLED = "disabled"
    """A 410 disabled the subscription."""
    TOO_LARGE = "too-large"
    """It does not fit a backlog record; the event is only referred to."""
    UNREADABLE = "unreadable"
    """The record is no event."""
    SKIPPED = "skipped"
    """An operator said so."""


@dataclass(slots=True)
class DeliveryTask:
    """A redirected delivery. Its record's key is the lane and the sequence."""

    lane: LaneId
    sequence: int
    webhook_id: str
    subscription: str
    uid: str
    run: str
    one_shot: bool
    group: str
    event: Event
    config_offset: int
    attempts: int
    due_ms: int | None
    halted: bool
    redirected_ms: int


@dataclass(frozen=True, slots=True)
class RetryTicket:
    """This lane may try again at `due_ms`, `attempts` made. Compared by (attempts, nudge)."""

    lane: LaneId
    sequence: int
    subscription: str
    attempts: int
    nudge: int
    due_ms: int
    halted: bool


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """How far a lane is blocked, or released; the record's key says which."""

    sequence: int
    group: str
    topic: str
    topic_id: str
    partition: int
    subscription: str
    uid: str
    key: bytes | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of which every delivery is settled, both ends included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Partial:
    """An offset of which only these subscribers' deliveries are settled (8-byte digests)."""

    offset: int
    subscribers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """Which deliveries above the committed `offset` of an event partition are settled."""

    group: str
    topic: str
    topic_id: str
    partition: int
    offset: int
    settled: tuple[Span, ...]
    partial: tuple[Partial, ...]


@dataclass(slots=True)
class DeliveryAttempt:
    """One HTTP try of a delivery."""

    lane: LaneId
    sequence: int
    webhook_id: str
    subscription: str
    uid: str
    run: str
    topic: str
    topic_id: str
    partition: int
    key: bytes | None
    event_id: str
    event_type: str
    attempt: int
    service: str
    started_ms: int
    duration_ms: float
    outcome: AttemptOutcome
    reason: str
    detail: str
    status: int | None
    address: str | None
    response: bytes | None
    next_ms: int | None
    trace_id: str | None
    response_headers: tuple[str, ...] = ()
    """`name: value` each; sensitive values are redacted."""


@dataclass(frozen=True, slots=True)
class Header:
    """A Kafka record header."""

    name: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery given up; or a record that is no event, then without a subscription."""

    lane: LaneId
    sequence: int
    webhook_id: str | None
    subscription: str | None
    uid: str
    run: str
    group: str
    reason: DeadLetterReason
    detail: str
    at_ms: int
    attempts: int
    last_attempt: DeliveryAttempt | None
    topic: str
    topic_id: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    event: Event | None
    value: bytes | None = None
    headers: tuple[Header, ...] = ()
