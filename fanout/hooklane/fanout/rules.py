"""What the documents and the topics' limits say about one delivery. Pure."""

from dataclasses import replace

from hooklane.delivery.attempt import Attempted
from hooklane.delivery.retry import RetryPolicy
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.settle import Ended, Settler, Terms
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.letter import event_bytes, fitting
from hooklane.schemas.records import AttemptOutcome, DeadLetter, DeadLetterReason
from hooklane.schemas.subscription_values import ServicePolicy

_TASK_OVERHEAD = 2048
"""Ids, names and numbers of a task."""


class Rules:
    """`max_task_bytes`, `max_letter_bytes`: `max.message.bytes` of backlog and dead letters."""

    def __init__(
        self, settler: Settler, policy: ServicePolicy, max_task_bytes: int, max_letter_bytes: int
    ) -> None:
        self._settler = settler
        self._policy = policy
        self._max_task_bytes = max_task_bytes
        self._max_letter_bytes = max_letter_bytes

    def ended(self, delivery: Delivery, entry: Entry, attempted: Attempted, now_ms: int) -> Ended:
        """What follows an attempt that was made by the document of `entry`."""
        if attempted.outcome.kind is AttemptOutcome.DELIVERED:
            # What the document says about failures is not looked up for what did not fail.
            return Ended(attempted.record)
        subscription = entry.subscription
        terms = Terms(
            RetryPolicy(subscription.schedule(self._policy)),
            subscription.retry.on_exhausted,
            entry.offset,
        )
        ended = self._settler.ended(delivery, attempted.outcome, attempted.record, terms, now_ms)
        if ended.redirect is not None and not self.fits_backlog(delivery.event):
            last = ended.record
            letter = self._settler.letter(delivery, DeadLetterReason.TOO_LARGE, last, now_ms)
            return replace(ended, redirect=None, letter=self.fitting(replace(letter, event=None)))
        if ended.letter is None:
            return ended
        return replace(ended, letter=self.fitting(ended.letter))

    def letter(self, delivery: Delivery, reason: DeadLetterReason, now_ms: int) -> DeadLetter:
        """A delivery given up without an attempt."""
        letter = self._settler.letter(delivery, reason, None, now_ms)
        if delivery.undecided:
            letter = replace(letter, detail=delivery.undecided)
        if reason is DeadLetterReason.TOO_LARGE:
            letter = replace(letter, event=None)
        return self.fitting(letter)

    def fits_backlog(self, event: Event) -> bool:
        """Whether a task with this event fits a record of the backlog."""
        return event_bytes(event) + _TASK_OVERHEAD <= self._max_task_bytes

    def fitting(self, letter: DeadLetter) -> DeadLetter:
        """The letter as it is, or with a reference in place of a payload that is too large."""
        return fitting(letter, self._max_letter_bytes)
