"""Attempts as `hooklane attempts` and the other listings show them. Pure."""

from dataclasses import dataclass

from hooklane.ops.log_selection import ALWAYS, Window, cut_content, key_text, may_name, moment
from hooklane.ops.output import Column, Row
from hooklane.schemas.codec import ATTEMPTS, CodecError
from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt

COLUMNS = (
    Column("time"),
    Column("subscription"),
    Column("key"),
    Column("event_type", "type"),
    Column("event_id", "event id"),
    Column("attempt", align="right"),
    Column("outcome"),
    Column("status", align="right"),
    Column("duration_ms", "ms", align="right"),
    Column("detail"),
    Column("next"),
)


@dataclass(frozen=True, slots=True)
class AttemptSelection:
    """Which attempts are meant; None is any. `among`: the subscriptions of a tenant."""

    window: Window = ALWAYS
    subscription: str | None = None
    keys: frozenset[bytes] | None = None
    event: str | None = None
    outcome: AttemptOutcome | None = None
    among: frozenset[str] | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing but the time is asked for."""
        wanted = (self.subscription, self.keys, self.event, self.outcome, self.among)
        return all(one is None for one in wanted)

    def may_hold(self, value: bytes) -> bool:
        """Whether a record's bytes can be one that is meant.

        Avro has text and bytes as they are, so most records are passed over unread: a listing of
        one event among a million costs seconds and not a minute.
        """
        texts = (self.subscription, self.event, self.outcome)
        return (
            all(one is None or one.encode() in value for one in texts)
            and (self.keys is None or any(one in value for one in self.keys))
            and may_name(self.among, value)
        )

    def holds(self, attempt: DeliveryAttempt) -> bool:
        return (
            self.window.holds(attempt.started_ms)
            and self.subscription in {None, attempt.subscription}
            and (self.among is None or attempt.subscription in self.among)
            and (self.keys is None or attempt.key in self.keys)
            and self.event in {None, attempt.event_id, attempt.webhook_id}
            and self.outcome in {None, attempt.outcome}
        )


class AttemptPicker:
    """Takes the attempts that are meant. `unread` counts records that cannot be read and may be."""

    def __init__(self, selection: AttemptSelection) -> None:
        self._selection = selection
        self.unread = 0

    def pick(self, key: bytes | None, value: bytes | None, at_ms: int) -> tuple[int, Row] | None:
        """The time and the row of a record, if it is meant. `at_ms`: the record's timestamp."""
        if value is None or not self._selection.may_hold(value):
            return None
        try:
            attempt = ATTEMPTS.decode(value)
        except CodecError as error:
            return self._unread(key, at_ms, str(error))
        if not self._selection.holds(attempt):
            return None
        return attempt.started_ms, attempt_row(attempt)

    def _unread(self, key: bytes | None, at_ms: int, why: str) -> tuple[int, Row] | None:
        if not self._selection.window.holds(at_ms):
            return None
        if not self._selection.is_all:
            self.unread += 1
            return None
        return at_ms, unread_row(key, at_ms, why)


def attempt_row(attempt: DeliveryAttempt) -> Row:
    """Every field of an attempt."""
    return {
        "time": moment(attempt.started_ms),
        "lane": attempt.lane,
        "sequence": attempt.sequence,
        "subscription": attempt.subscription,
        "run": attempt.run or None,
        "key": key_text(attempt.key),
        "event_id": attempt.event_id,
        "event_type": attempt.event_type,
        "webhook_id": attempt.webhook_id,
        "topic": attempt.topic,
        "partition": attempt.partition,
        "offset": attempt.sequence,
        "attempt": attempt.attempt,
        "service": attempt.service,
        "outcome": attempt.outcome.value,
        "reason": attempt.reason,
        "detail": attempt.detail,
        "status": attempt.status,
        "duration_ms": round(attempt.duration_ms, 1),
        "address": attempt.address,
        **cut_content("response", attempt.response),
        "response_headers": list(attempt.response_headers),
        "next": moment(attempt.next_ms),
        "trace_id": attempt.trace_id,
        "unreadable": None,
    }


def unread_row(key: bytes | None, at_ms: int, why: str) -> Row:
    """A record that cannot be read: its time, its lane, and why."""
    return {
        **dict.fromkeys(FIELDS),
        "time": moment(at_ms),
        "lane": key_text(key),
        "detail": why,
        "unreadable": why,
    }


FIELDS = (
    "time", "lane", "sequence", "subscription", "run", "key", "event_id", "event_type",
    "webhook_id", "topic", "partition", "offset", "attempt", "service", "outcome", "reason",
    "detail", "status", "duration_ms", "address", "response", "response_base64",
    "response_headers", "next", "trace_id", "unreadable",
)  # fmt: skip
