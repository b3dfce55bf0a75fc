"""Who may be attempted now: circuits and rate limits, asked by one clock."""

from collections.abc import Callable

from hooklane.delivery.circuit import Circuits, Permit
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.tenants import TenantRates
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_values import RateLimit
from hooklane.schemas.tenants import NO_TENANTS, TenantRules


class Receivers:
    """What the gates of both services ask. `monotonic`: seconds."""

    def __init__(
        self,
        circuits: Circuits,
        limits: RateLimits,
        monotonic: Callable[[], float],
        tenants: TenantRules = NO_TENANTS,
    ) -> None:
        self._circuits = circuits
        self._limits = limits
        self.tenant_rates = TenantRates(tenants, limits)
        self._monotonic = monotonic

    def refuses(self, url: str) -> bool:
        """Whether the circuit of its origin is open."""
        return self._circuits.refuses(url, self._monotonic())

    def wait_s(self, document: Subscription, ahead: int = 0) -> float:
        """Seconds until its rate limit lets an attempt start after `ahead` others; 0: now."""
        limit = self._limit(document)
        if limit is None:
            return 0.0
        return self._limits.wait_s(document.id, limit, self._monotonic(), ahead)

    def begins(self, document: Subscription) -> Permit:
        """An attempt of it begins: where the circuit is half-open it is the probe, for whose
        outcome the others wait."""
        permit = self._circuits.permit(document.url, self._monotonic())
        if permit is not Permit.REFUSED:
            self.starts(document)
        return permit

    def starts(self, document: Subscription) -> None:
        """An attempt of it counts for its rate limit, and for its tenant's."""
        limit = self._limit(document)
        if limit is not None:
            self._limits.start(document.id, limit, self._monotonic())
        if document.tenant is not None:
            self.tenant_rates.start(document.tenant, self._monotonic())

    def _limit(self, document: Subscription) -> RateLimit | None:
        """The document's own limit, and what its receiver granted where it is asked."""
        own = document.delivery.rate_limit
        return self._limits.limit(document.id, own) if document.delivery.handshake else own
