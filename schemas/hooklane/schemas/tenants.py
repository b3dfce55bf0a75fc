"""What each tenant may see, and how much of everything it gets: an installation's rules. Pure.

`topics` are event topics by tenant, exact or glob; `*` stands for tenants that are not named.
Without any, nobody is limited; with some, a tenant that is neither named nor meant by `*` sees
nothing. A subscription without a tenant is the installation's own and sees everything, unless a
tenant is `required`: then it sees nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hooklane.schemas.filters_glob import compile_glob
from hooklane.schemas.subscription_faults import Fault
from hooklane.schemas.subscription_values import RateLimit

EVERY: Final = "*"
"""Stands for the tenants that are not named."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much one tenant gets; None is no limit. `max_in_flight` and `rate_limit` are each
    process' own, for all subscriptions of the tenant together."""

    subscriptions: int | None = None
    max_in_flight: int | None = None
    rate_limit: RateLimit | None = None


NO_QUOTA: Final = Quota()


@dataclass(frozen=True, slots=True)
class TenantRules:
    """By default there are none."""

    topics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    required: bool = False

    def topics_of(self, tenant: str | None) -> tuple[str, ...] | None:
        """What it may see, exact or glob; None: everything."""
        if tenant is None:
            return () if self.required else None
        if not self.topics:
            return None
        return self.topics.get(tenant, self.topics.get(EVERY, ()))

    def quota_of(self, tenant: str | None) -> Quota:
        """Its own, or the one of those that are not named."""
        if tenant is None:
            return NO_QUOTA
        return self.quotas.get(tenant) or self.quotas.get(EVERY, NO_QUOTA)

    @property
    def share(self) -> bool:
        """Whether some tenant's subscriptions share slots or a rate."""
        return any(one.max_in_flight or one.rate_limit for one in self.quotas.values())

    def faults(self, tenant: str | None, topics: Sequence[str] | None) -> tuple[Fault, ...]:
        """What is wrong with a document of this tenant that asks for these topics: those that it
        names and may not see. A glob takes what it may see of it."""
        allowed = self.topics_of(tenant)
        if allowed is None:
            return ()
        if tenant is None:
            return (Fault("tenant", "is required here (HOOKLANE_TENANTS__REQUIRED)"),)
        if not allowed:
            said = f"{tenant} may see no topic here (HOOKLANE_TENANTS__TOPICS)"
            return (Fault("tenant", said),)
        return tuple(
            Fault(
                f"match.topics[{place}]",
                f"{topic} is no topic that tenant {tenant} may see: write one of "
                f"{', '.join(allowed)} (HOOKLANE_TENANTS__TOPICS)",
            )
            for place, topic in enumerate(topics or ())
            if compile_glob(topic).literal and not takes_any(allowed, topic)
        )


NO_TENANTS: Final = TenantRules()


def takes_any(globs: Sequence[str], topic: str) -> bool:
    """Whether one of them means the topic."""
    return any(compile_glob(one).takes(topic) for one in globs)
