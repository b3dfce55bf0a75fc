"""What the subscriptions of one tenant share in a process: slots and a rate. Pure.

A subscription whose tenant has no free slot, or whose tenant's rate lets nothing start now, stands
in its tenant's line. Who is first in it is let in when an attempt of the tenant ends, or when the
rate says so; who comes, or comes again, stands behind the others. Nobody of another tenant waits.

    asks --admits--> begins --> in flight --> ends: the first in line is let in
             |                                           ^
             +--no slot, or too soon--> the line --------+ (or its rate's time has come)
"""

from collections import Counter, deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from hooklane.delivery.limits import RateLimits
from hooklane.schemas.tenants import TenantRules

_NOBODY: Final = ""
"""Stands for the tenant of a subscription that has none."""


class TenantRates:
    """The rates that tenants share. They keep time as those of single subscriptions do."""

    def __init__(self, rules: TenantRules, limits: RateLimits) -> None:
        self._rules = rules
        self._limits = limits

    def wait_s(self, tenant: str, now: float, ahead: int = 0) -> float:
        """Seconds until one more of the tenant may start after `ahead` others; 0: now."""
        limit = self._rules.quota_of(tenant).rate_limit
        return 0.0 if limit is None else self._limits.wait_s(_name(tenant), limit, now, ahead)

    def start(self, tenant: str | None, now: float) -> None:
        """An attempt of the tenant starts."""
        limit = self._rules.quota_of(tenant).rate_limit
        if limit is not None and tenant is not None:
            self._limits.start(_name(tenant), limit, now)


class TenantLines:
    """`tenant_of`: a subscription's tenant, as of now; None: nothing is shared."""

    def __init__(
        self,
        rules: TenantRules,
        rates: TenantRates,
        tenant_of: Callable[[str], str | None],
        monotonic: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._rates = rates
        self._tenant_of = tenant_of
        self._monotonic = monotonic
        self._in_flight: Counter[str] = Counter()
        self._begun: dict[str, deque[str]] = {}
        """By subscription, whose slots its attempts take: a document may get another tenant."""
        self._lines: dict[str, dict[str, None]] = {}
        self._let_in: set[str] = set()
        self._look: dict[str, None] = {}
        """Tenants whose first in line may perhaps start."""
        self._timed: list[tuple[float, str]] = []
        """A heap: when rates let the first of a line start; a tenant is in it once, in `_until`."""
        self._until: set[str] = set()

    def admits(self, subscription: str) -> bool:
        """Whether one more attempt of it may start now; if not, it stands in line."""
        tenant = self._tenant_of(subscription)
        if tenant is None:
            return True
        line = self._lines.get(tenant)
        its_turn = not line or subscription in self._let_in
        self._let_in.discard(subscription)
        if its_turn and self._has_room(tenant) and self._wait_s(tenant) <= 0:
            return True
        self._lines.setdefault(tenant, {})[subscription] = None
        self._look_at(tenant)
        return False

    def begins(self, subscription: str) -> None:
        """An attempt of it takes a slot."""
        tenant = self._tenant_of(subscription) or _NOBODY
        self._begun.setdefault(subscription, deque()).append(tenant)
        self._in_flight[tenant] += 1

    def ended(self, subscription: str) -> None:
        """It gives the slot back."""
        begun = self._begun[subscription]
        tenant = begun.popleft()
        if not begun:
            del self._begun[subscription]
        self._in_flight[tenant] -= 1
        if not self._in_flight[tenant]:
            del self._in_flight[tenant]
        if tenant in self._lines:
            self._look_at(tenant)

    def due(self) -> list[str]:
        """Who is let in now, the first of each line first. One who does not start then leaves the
        place to the next, of whom a later call tells."""
        now = self._monotonic()
        while self._timed and self._timed[0][0] <= now:
            tenant = heappop(self._timed)[1]
            self._until.discard(tenant)
            self._look_at(tenant)
        return [one for tenant in list(self._look) for one in self._let_some_in(tenant, now)]

    @property
    def next_start(self) -> float | None:
        """When `due` has somebody to tell of, in monotonic seconds; None: when an attempt ends."""
        if self._look:
            return self._monotonic()
        return self._timed[0][0] if self._timed else None

    @property
    def pause_s(self) -> float | None:
        """The same, as seconds from now."""
        at = self.next_start
        return None if at is None else max(at - self._monotonic(), 0.0)

    def wait_s(self, subscription: str, ahead: int) -> float:
        """Seconds until it may start after `ahead` others of its own, while all in line take turns.
        What waits for slots is not told."""
        tenant = self._tenant_of(subscription)
        if tenant is None:
            return 0.0
        turns = max(1, len(self._lines.get(tenant, ())))
        return self._rates.wait_s(tenant, self._monotonic(), ahead * turns)

    def _let_some_in(self, tenant: str, now: float) -> list[str]:
        line = self._lines.get(tenant, {})
        found: list[str] = []
        while (
            line
            and self._has_room(tenant, len(found))
            and self._rates.wait_s(tenant, now, len(found)) <= 0
        ):
            first = next(iter(line))
            del line[first]
            self._let_in.add(first)
            found.append(first)
        if not line:
            self._lines.pop(tenant, None)
        if line and not found and self._has_room(tenant):
            heappush(self._timed, (now + self._rates.wait_s(tenant, now), tenant))
            self._until.add(tenant)
        if not line or not found:
            self._look.pop(tenant, None)
        return found

    def _look_at(self, tenant: str) -> None:
        """Unless its rate has said when."""
        if tenant not in self._until:
            self._look[tenant] = None

    def _has_room(self, tenant: str, ahead: int = 0) -> bool:
        most = self._rules.quota_of(tenant).max_in_flight
        return most is None or self._in_flight[tenant] + ahead < most

    def _wait_s(self, tenant: str) -> float:
        return self._rates.wait_s(tenant, self._monotonic())


def _name(tenant: str) -> str:
    """Among the names of subscriptions, none of which has a space."""
    return f"tenant {tenant}"
