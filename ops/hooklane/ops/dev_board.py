"""What `hooklane dev` knows of each subscription: told of attempts as they end. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hooklane.delivery.attempt import Attempted, Delivery
from hooklane.delivery.exchange import Running
from hooklane.delivery.ground import Attempts
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription import Subscription

Told = Callable[[Delivery, Attempted], None]


@dataclass(slots=True)
class Line:
    """One subscription. `last` is None before its first attempt."""

    subscription: Subscription
    delivered: int = 0
    failed: int = 0
    last: Attempted | None = None


class Board:
    """The subscriptions of the files, in the order of their ids, with what became of attempts."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self.delivered = 0
        self.failed = 0

    def wanted(self, subscriptions: Mapping[str, Subscription]) -> None:
        """These are in the files now; what was counted for them stays."""
        before = self._lines
        self._lines = {}
        for name, one in sorted(subscriptions.items()):
            line = self._lines[name] = before.get(name) or Line(one)
            line.subscription = one

    def ended(self, delivery: Delivery, attempted: Attempted) -> None:
        well = attempted.outcome.kind is AttemptOutcome.DELIVERED
        self.delivered += well
        self.failed += not well
        line = self._lines.get(delivery.subscription.id)
        if line is not None:
            line.delivered += well
            line.failed += not well
            line.last = attempted

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines.values())


class WatchedAttempts:
    """A service's attempts, and `told` of each that ends."""

    def __init__(self, attempts: Attempts, told: Told) -> None:
        self._attempts = attempts
        self._told = told

    def start(self, delivery: Delivery, done: Callable[[Attempted], None]) -> Running:
        def ended(attempted: Attempted) -> None:
            self._told(delivery, attempted)
            done(attempted)

        return self._attempts.start(delivery, ended)
