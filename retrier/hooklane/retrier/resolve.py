"""From an attempt's outcome to what is written next. Pure."""

from dataclasses import dataclass
from typing import assert_never

from hooklane.delivery.outcome import Outcome
from hooklane.delivery.retry import GiveUp, Retry, RetryPolicy
from hooklane.retrier.spool import Waiting
from hooklane.retrier.standing import Standing
from hooklane.schemas import letter
from hooklane.schemas.book import Entry
from hooklane.schemas.records import (
    AttemptOutcome,
    DeadLetter,
    DeadLetterReason,
    DeliveryAttempt,
    DeliveryTask,
)
from hooklane.schemas.subscription_parts import OnExhausted
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay


@dataclass(frozen=True, slots=True)
class Resolved:
    """Delivered: tombstone the task, go on."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A dead letter first, then the tombstone. `gone`: the receiver said 410."""

    reason: DeadLetterReason
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """A ticket in `tier`; the task stays the first of its lane."""

    tier: Delay
    standing: Standing


Verdict = Resolved | GivenUp | Again


class Resolver:
    """What an outcome means by the subscription's document and the service's tiers."""

    def __init__(self, policy: ServicePolicy) -> None:
        self._policy = policy
        self._longest = max(policy.tiers)

    def judge(self, waiting: Waiting, entry: Entry, outcome: Outcome, now_ms: int) -> Verdict:
        """The attempt that followed `waiting.standing` ended at `now_ms`."""
        attempts = waiting.standing.attempts + 1
        match outcome.kind:
            case AttemptOutcome.DELIVERED:
                return Resolved()
            case AttemptOutcome.FAILED:
                return self._failed(entry, attempts, outcome, now_ms)
            case AttemptOutcome.REFUSED if outcome.gone:
                return GivenUp(DeadLetterReason.DISABLED, gone=True)
            case AttemptOutcome.REFUSED:
                return self._given_up(entry, attempts, DeadLetterReason.REFUSED, now_ms)
            case _:
                assert_never(outcome.kind)

    def _failed(self, entry: Entry, attempts: int, outcome: Outcome, now_ms: int) -> Verdict:
        wait_s = outcome.retry_after_s
        not_before_ms = None if wait_s is None else now_ms + round(wait_s * 1000)
        policy = RetryPolicy(entry.subscription.schedule(self._policy))
        verdict = policy.next(attempts, not_before_ms, now_ms)
        match verdict:
            case Retry():
                return Again(verdict.tier, Standing(attempts, 0, verdict.due_ms, halted=False))
            case GiveUp():
                return self._given_up(entry, attempts, DeadLetterReason.EXHAUSTED, now_ms)
            case _:
                assert_never(verdict)

    def _given_up(
        self, entry: Entry, attempts: int, reason: DeadLetterReason, now_ms: int
    ) -> Verdict:
        on_exhausted = entry.subscription.retry.on_exhausted
        match on_exhausted:
            case OnExhausted.DEAD_LETTER:
                return GivenUp(reason)
            case OnExhausted.HALT:
                return Again(self._longest, Standing(attempts, 0, now_ms, halted=True))
            case _:
                assert_never(on_exhausted)


def letter_for(
    task: DeliveryTask,
    reason: DeadLetterReason,
    last: DeliveryAttempt | None,
    attempts: int,
    at_ms: int,
) -> DeadLetter:
    """A task given up."""
    given_up = letter.GivenUp(
        lane=task.lane,
        sequence=task.sequence,
        webhook_id=task.webhook_id,
        subscription=task.subscription,
        uid=task.uid,
        run=task.run,
        group=task.group,
        event=task.event,
    )
    return letter.letter_of(given_up, reason, last, attempts, at_ms)
