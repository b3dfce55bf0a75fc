"""From an attempt's outcome to what the draft gets. Pure."""

from dataclasses import dataclass, replace
from typing import assert_never

from hooklane.delivery.outcome import Outcome
from hooklane.delivery.retry import GIVE_UP, GiveUp, Retry, RetryPolicy
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.redirect import Disabling, Redirect, Ticket
from hooklane.schemas.letter import GivenUp, letter_of
from hooklane.schemas.records import (
    AttemptOutcome,
    DeadLetter,
    DeadLetterReason,
    DeliveryAttempt,
    RetryTicket,
)
from hooklane.schemas.subscription_parts import OnExhausted
from hooklane.schemas.topics import Delay


@dataclass(frozen=True, slots=True)
class Ended:
    """What follows one attempt: at most one of redirect and letter; `record` is complete."""

    record: DeliveryAttempt
    redirect: Redirect | None = None
    letter: DeadLetter | None = None
    disabling: Disabling | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the subscription's document says about failures, and the offset of the document."""

    policy: RetryPolicy
    on_exhausted: OnExhausted
    offset: int


class Settler:
    """`tiers` are the service's; a halted ticket lies in the longest, which keeps it longest."""

    def __init__(self, group: str, tiers: tuple[Delay, ...]) -> None:
        self._group = group
        self._longest = max(tiers)

    def ended(
        self,
        delivery: Delivery,
        outcome: Outcome,
        record: DeliveryAttempt,
        terms: Terms,
        now_ms: int,
    ) -> Ended:
        """The first attempt of `delivery` ended at `now_ms` (milliseconds since the epoch)."""
        match outcome.kind:
            case AttemptOutcome.DELIVERED:
                return Ended(record)
            case AttemptOutcome.FAILED:
                return self._failed(delivery, outcome, record, terms, now_ms)
            case AttemptOutcome.REFUSED:
                return self._refused(delivery, outcome, record, terms, now_ms)
            case _:
                assert_never(outcome.kind)

    def _failed(
        self,
        delivery: Delivery,
        outcome: Outcome,
        record: DeliveryAttempt,
        terms: Terms,
        now_ms: int,
    ) -> Ended:
        wait_s = outcome.retry_after_s
        not_before_ms = None if wait_s is None else now_ms + round(wait_s * 1000)
        verdict: Retry | GiveUp = terms.policy.next(record.attempt, not_before_ms, now_ms)
        if isinstance(verdict, Retry):
            record = replace(record, next_ms=verdict.due_ms)
            return Ended(record, self._again(delivery, record, verdict))
        assert verdict is GIVE_UP  # noqa: S101 - the only other case
        return self._given_up(delivery, record, terms, DeadLetterReason.EXHAUSTED, now_ms)

    def _refused(
        self,
        delivery: Delivery,
        outcome: Outcome,
        record: DeliveryAttempt,
        terms: Terms,
        now_ms: int,
    ) -> Ended:
        if outcome.gone:
            letter = self.letter(delivery, DeadLetterReason.DISABLED, record, now_ms)
            disabling = Disabling(delivery.subscription, terms.offset, outcome.detail, now_ms)
            return Ended(record, letter=letter, disabling=disabling)
        return self._given_up(delivery, record, terms, DeadLetterReason.REFUSED, now_ms)

    def _given_up(
        self,
        delivery: Delivery,
        record: DeliveryAttempt,
        terms: Terms,
        reason: DeadLetterReason,
        now_ms: int,
    ) -> Ended:
        match terms.on_exhausted:
            case OnExhausted.DEAD_LETTER:
                return Ended(record, letter=self.letter(delivery, reason, record, now_ms))
            case OnExhausted.HALT:
                return Ended(record, self._halted(delivery, record, now_ms))
            case _:
                assert_never(terms.on_exhausted)

    def letter(
        self,
        delivery: Delivery,
        reason: DeadLetterReason,
        last: DeliveryAttempt | None,
        now_ms: int,
    ) -> DeadLetter:
        """The delivery given up, with its event."""
        given_up = GivenUp(
            lane=delivery.lane,
            sequence=delivery.sequence,
            webhook_id=delivery.webhook_id,
            subscription=delivery.subscription,
            uid=delivery.uid,
            run="",
            group=self._group,
            event=delivery.event,
        )
        attempts = 0 if last is None else last.attempt
        return letter_of(given_up, reason, last, attempts, now_ms)

    def _again(self, delivery: Delivery, record: DeliveryAttempt, retry: Retry) -> Redirect:
        ticket = Ticket(retry.tier, _ticket(delivery, record.attempt, retry.due_ms, halted=False))
        return Redirect(delivery, record.attempt, retry.due_ms, ticket=ticket, last=record)

    def _halted(self, delivery: Delivery, record: DeliveryAttempt, now_ms: int) -> Redirect:
        ticket = Ticket(self._longest, _ticket(delivery, record.attempt, now_ms, halted=True))
        return Redirect(delivery, record.attempt, now_ms, halted=True, ticket=ticket, last=record)


def _ticket(delivery: Delivery, attempts: int, due_ms: int, *, halted: bool) -> RetryTicket:
    return RetryTicket(
        lane=delivery.lane,
        sequence=delivery.sequence,
        subscription=delivery.subscription,
        attempts=attempts,
        nudge=0,
        due_ms=due_ms,
        halted=halted,
    )
