"""What operators are told in the log: one line for an event that matters, none for a delivery.

    lane.blocked          an attempt failed: its lane waits for the retrier from now on
    delivery.redirected   the same, of a delivery that is its own lane
    lane.halted           the schedule is at its end, and `on_exhausted: halt` asks for an operator
    lane.released         nothing of the lane waits any more
    delivery.given_up     a dead letter
    subscription.disabled a receiver said 410
    circuit.opened, circuit.closed

All of these after they are written to Kafka, circuits apart. A lane that follows into the backlog
because its subscription is paused or its circuit open has no line of its own: that has one. Many of
a kind are cut down by a quota; the line after says `unlogged`. Single attempts are in the attempts
topic, those that failed at level `debug` too.
"""

from collections.abc import Callable
from typing import Final

import structlog

from hooklane.delivery.target import Origin
from hooklane.runtime.log_quota import LogQuota
from hooklane.schemas.records import DeadLetter, DeadLetterReason, DeliveryAttempt

log = structlog.get_logger(__name__)

_NOBODY: Final = ""


class Journal:
    """Writes them. `monotonic`: seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._quota = LogQuota()
        self._disabled: dict[str, int] = {}

    def blocked(self, record: DeliveryAttempt, *, one_shot: bool) -> None:
        """A delivery failed and went to the backlog; `record` is of the attempt."""
        self._tell("delivery.redirected" if one_shot else "lane.blocked", _facts(record))

    def halted(self, record: DeliveryAttempt) -> None:
        """A lane waits for an operator."""
        self._tell("lane.halted", _facts(record))

    def released(self, subscription: str, lane: str, sequence: int) -> None:
        """A lane is empty up to `sequence`, and goes on as before."""
        self._tell(
            "lane.released", {"subscription": subscription, "lane": lane, "sequence": sequence}
        )

    def given_up(self, letter: DeadLetter) -> None:
        """It is in the dead letters. What is no event has had its line when it was read."""
        if letter.reason is DeadLetterReason.UNREADABLE:
            return
        last, event = letter.last_attempt, letter.event
        facts: dict[str, object] = {
            "subscription": letter.subscription,
            "lane": letter.lane,
            "sequence": letter.sequence,
            "topic": letter.topic,
            "partition": letter.partition,
            "attempts": letter.attempts,
            "reason": letter.reason.value,
            "detail": letter.detail,
            "trace": None
            if event is None or event.traceparent is None
            else event.traceparent[3:35],
            "event_id": None if event is None else event.attributes["id"],
        }
        if last is not None:
            facts |= {"event_id": last.event_id, "status": last.status, "trace": last.trace_id}
        self._tell("delivery.given_up", facts)

    def disabled(self, subscription: str, offset: int, reason: str) -> None:
        """A receiver wants no more; once for a document, however many attempts hear it."""
        if self._disabled.get(subscription) != offset:
            self._disabled[subscription] = offset
            self._tell(
                "subscription.disabled",
                {"subscription": subscription, "offset": offset, "reason": reason},
            )

    def turned(self, origin: Origin, is_open: bool) -> None:
        """A circuit opened, or closed for good."""
        shown = f"{origin.scheme}://{origin.host}:{origin.port}"
        self._tell("circuit.opened" if is_open else "circuit.closed", {"origin": shown})

    def _tell(self, kind: str, facts: dict[str, object]) -> None:
        subject = str(facts.get("subscription") or facts.get("origin") or _NOBODY)
        held_back = self._quota.take(kind, subject, self._monotonic())
        if held_back is None:
            return
        if held_back:
            facts["unlogged"] = held_back
        good = kind in {"lane.released", "circuit.closed"}
        (log.info if good else log.warning)(
            kind, **{name: value for name, value in facts.items() if value is not None}
        )


def attempt_failed(record: DeliveryAttempt) -> None:
    """For who looks closely."""
    log.debug("attempt.failed", **_facts(record))


def _facts(record: DeliveryAttempt) -> dict[str, object]:
    return {
        "subscription": record.subscription,
        "lane": record.lane,
        "sequence": record.sequence,
        "topic": record.topic,
        "partition": record.partition,
        "event_id": record.event_id,
        "attempt": record.attempt,
        "status": record.status,
        "reason": str(record.reason),
        "detail": record.detail,
        "trace": record.trace_id,
    }
