"""How often a subscription may be attempted: `delivery.rate_limit`, held evenly. Pure."""

from typing import Final

from hooklane.schemas.subscription_values import RateLimit

_SLACK_S: Final = 0.02
"""What a late wake-up may catch up with; paid for by as much longer intervals."""
_REMEMBERED: Final = 10_000


class Pace:
    """One subscription's limit: starts are spread over the time, and none is saved up.

    A subscription that was silent for an hour does not begin with an hour's worth at once, as a
    full bucket would. Starts may be `_SLACK_S` closer than the interval, so that a timer that
    comes late costs nothing; still no `per_s` seconds ever see more than `count` of them.
    """

    __slots__ = ("_interval_s", "_next", "limit")

    def __init__(self, limit: RateLimit, share: float) -> None:
        self.limit = limit
        self._interval_s = (limit.per_s + _SLACK_S) / (limit.count * share)
        self._next = float("-inf")

    def wait_s(self, now: float, ahead: int = 0) -> float:
        """Seconds from `now` (monotonic) until one more may start after `ahead` others; 0: now."""
        return max(max(self._next, now) + ahead * self._interval_s - _SLACK_S - now, 0.0)

    def start(self, now: float) -> None:
        """One starts."""
        self._next = max(self._next, now) + self._interval_s

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it would change nothing."""
        return self._next <= now


class RateLimits:
    """The paces of all subscriptions that have a limit.

    `share`: the part of each limit that this process may use. Processes do not know of each
    other's starts; two of them that may use a half each keep the limit together.
    """

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._paces: dict[str, Pace] = {}
        self._granted: dict[str, RateLimit] = {}

    def grant(self, subscription: str, limit: RateLimit | None) -> None:
        """What a receiver itself allows, from now on; None: whatever the document says."""
        if limit is None:
            self._granted.pop(subscription, None)
        else:
            self._granted[subscription] = limit

    def limit(self, subscription: str, own: RateLimit | None) -> RateLimit | None:
        """The stricter of the document's `own` and what its receiver has granted."""
        granted = self._granted.get(subscription)
        if granted is None or own is None:
            return granted or own
        return min(own, granted, key=lambda one: one.count / one.per_s)

    def wait_s(self, subscription: str, limit: RateLimit, now: float, ahead: int = 0) -> float:
        """Seconds until an attempt of it may start after `ahead` others. `limit`: its document's,
        as of now."""
        return self._pace(subscription, limit, now).wait_s(now, ahead)

    def start(self, subscription: str, limit: RateLimit, now: float) -> None:
        """An attempt of it starts."""
        self._pace(subscription, limit, now).start(now)

    def _pace(self, subscription: str, limit: RateLimit, now: float) -> Pace:
        pace = self._paces.get(subscription)
        if pace is None or pace.limit != limit:
            if len(self._paces) >= _REMEMBERED:
                self._paces = {
                    name: one for name, one in self._paces.items() if not one.is_idle(now)
                }
            pace = self._paces[subscription] = Pace(limit, self._share)
        return pace
