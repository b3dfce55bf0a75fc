"""What may become of a task, by the facts of this moment. Pure."""

from enum import Enum
from typing import Protocol

from hooklane.schemas.book import Entry
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import State


class Verdict(Enum):
    ATTEMPT = "attempt"
    WAIT = "wait"
    """Its subscription is paused or not known yet, or its receiver's circuit is open."""
    DISCARD = "discard"
    """Its subscription is deleted, or disabled by its operator."""
    GIVE_UP = "give-up"
    """Its subscription is gone by its receiver's own word (410): a dead letter."""


class Stance(Enum):
    """How a subscription's tasks are looked for."""

    NORMAL = "normal"
    """What is due may go."""
    HELD = "held"
    """Nothing may go."""
    EMPTYING = "emptying"
    """All may go, due or not: they are not attempted any more."""


class Book(Protocol):
    """The subscriptions, with how far they have been read."""

    def entry(self, subscription: str) -> Entry | None: ...
    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool: ...


class Receivers(Protocol):
    """Who may be attempted now (delivery.receivers)."""

    def refuses(self, url: str) -> bool: ...
    def wait_s(self, document: Subscription) -> float: ...
    def starts(self, document: Subscription) -> None: ...


class TaskGate:
    """The gate of the retrier.

    `gone` holds, by subscription, the offset of the document that a 410 has judged here.
    """

    def __init__(self, book: Book, receivers: Receivers, share: int) -> None:
        self._book = book
        self._receivers = receivers
        self._share = share
        self.gone: dict[str, int] = {}

    def judge(self, task: DeliveryTask) -> tuple[Verdict, Entry | None]:
        """The verdict, and the document that an attempt would go by."""
        entry = self._book.entry(task.subscription)
        if self._book.is_deleted(task.subscription, task.config_offset, task.uid):
            return Verdict.DISCARD, None
        if entry is None or entry.subscription.uid != task.uid:
            return Verdict.WAIT, None
        if entry.subscription.state is State.DISABLED:
            return Verdict.DISCARD, entry
        if self.is_gone(entry):
            return Verdict.GIVE_UP, entry
        if self._is_held(entry):
            return Verdict.WAIT, entry
        return Verdict.ATTEMPT, entry

    def is_gone(self, entry: Entry) -> bool:
        """Whether its receiver has said 410 to the document that is in force."""
        return entry.disabled is not None or self.gone.get(entry.id) == entry.offset

    def stance(self, subscription: str) -> Stance:
        """What holds for all of its tasks, whichever it is."""
        entry = self._book.entry(subscription)
        if entry is None or entry.subscription.state is State.DISABLED or self.is_gone(entry):
            return Stance.EMPTYING
        return Stance.HELD if self._is_held(entry) else Stance.NORMAL

    def _is_held(self, entry: Entry) -> bool:
        subscription = entry.subscription
        return subscription.state is State.PAUSED or self._receivers.refuses(subscription.url)

    def tenant(self, subscription: str) -> str | None:
        """Whose it is, as of now; nobody's where nothing of it is attempted any more."""
        entry = self._book.entry(subscription)
        if entry is None or self.stance(subscription) is Stance.EMPTYING:
            return None
        return entry.subscription.tenant

    def max_in_flight(self, subscription: str) -> int:
        """How many of its lanes may be at work at once."""
        entry = self._book.entry(subscription)
        wanted = entry.subscription.delivery.max_in_flight if entry is not None else self._share
        return min(wanted, self._share)

    def wait_s(self, subscription: str) -> float:
        """Seconds until its rate limit lets one more attempt start; 0: now."""
        entry = self._book.entry(subscription)
        if entry is None or self.stance(subscription) is Stance.EMPTYING:
            return 0.0
        return self._receivers.wait_s(entry.subscription)

    def starts(self, entry: Entry) -> None:
        """An attempt of it is begun."""
        self._receivers.starts(entry.subscription)
