"""What `hooklane dev` says of attempts and requests, a line each. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import assert_never

from hooklane.delivery.attempt import Attempted, Delivery
from hooklane.delivery.outcome import Outcome
from hooklane.delivery.retry import GiveUp, RetryPolicy
from hooklane.ops.output import Row, text
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription_parts import OnExhausted
from hooklane.schemas.subscription_values import ServicePolicy


class Tone(Enum):
    """How a line looks at a terminal."""

    PLAIN = ""
    QUIET = "dim"
    GOOD = "green"
    BAD = "red"
    WARNING = "yellow"


@dataclass(frozen=True, slots=True)
class Said:
    """A line with the time at its beginning: `subject` first, then what is said of it."""

    at: datetime
    subject: str
    said: str
    tone: Tone = Tone.PLAIN

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}  {self.subject}  {self.said}"


def sent(delivery: Delivery, attempted: Attempted, policy: ServicePolicy, at: datetime) -> Said:
    """An attempt has ended: to whom, of what, how, and what comes next."""
    event, outcome = delivery.event, attempted.outcome
    subject = (
        f"-> {delivery.subscription.id}  {event.attributes['type']} {_key(event.key)} "
        f"#{delivery.sequence} try {delivery.attempt}"
    )
    took = f"{attempted.record.duration_ms:.0f} ms"
    match outcome.kind:
        case AttemptOutcome.DELIVERED:
            return Said(at, subject, f"{short(outcome)} in {took}", Tone.GOOD)
        case AttemptOutcome.FAILED:
            after = _after_failure(delivery, outcome, policy)
            return Said(at, subject, f"FAILED: {short(outcome)}; {after}", Tone.BAD)
        case AttemptOutcome.REFUSED:
            after = _after_refusal(delivery, outcome)
            return Said(at, subject, f"REFUSED: {short(outcome)}; {after}", Tone.BAD)
        case _:
            assert_never(outcome.kind)


def got(row: Row, at: datetime) -> Said:
    """A request has come to dev's own receiver (a row of `listen_desk`)."""
    status, cause = row["status"], row["cause"]
    verified = {None: "not signed", True: "verified", False: f"NOT VERIFIED ({cause})"}
    judged = verified[row["verified"] if isinstance(row["verified"], bool) else None]
    subject = (
        f"<- {row['path']}  {text(row['type'])} {text(row['key'])} "
        f"#{text(row['sequence'])} try {text(row['attempt'])}"
    )
    order = "" if row["order"] is None else f", {row['order']}"
    tone = Tone.QUIET if isinstance(status, int) and status < 300 else Tone.WARNING
    return Said(at, subject, f"{judged}{order}: {text(row['body'])}", tone)


def short(outcome: Outcome) -> str:
    """A status with its name, or what went wrong."""
    if outcome.status is None:
        return outcome.detail
    try:
        return f"{outcome.status} {HTTPStatus(outcome.status).phrase}"
    except ValueError:
        return str(outcome.status)


def _key(key: bytes | None) -> str:
    return "(no key)" if key is None else text(key.decode("utf-8", "replace"))


def _after_failure(delivery: Delivery, outcome: Outcome, policy: ServicePolicy) -> str:
    schedule = delivery.subscription.schedule(policy)
    wish_ms = None if outcome.retry_after_s is None else round(outcome.retry_after_s * 1000)
    following = RetryPolicy(schedule).next(delivery.attempt, wish_ms, 0)
    if not isinstance(following, GiveUp):
        return f"again in {following.due_ms / 1000:g} s"
    if delivery.subscription.retry.on_exhausted is OnExhausted.HALT:
        return "its lane is halted: see `hooklane lanes list`"
    return "given up: see `hooklane dead-letters list`"


def _after_refusal(delivery: Delivery, outcome: Outcome) -> str:
    if outcome.gone:
        return "the subscription is disabled until its file is saved again"
    if delivery.subscription.retry.on_exhausted is OnExhausted.HALT:
        return "its lane is halted: see `hooklane lanes list`"
    return "given up: see `hooklane dead-letters list`"
