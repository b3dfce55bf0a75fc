"""Which subscriptions are a tenant's: those in force now."""

from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.errors import UsageError
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import SubscriptionBook


def subscriptions_of(tenant: str | None, settings: Settings) -> frozenset[str] | None:
    """The ids that `--tenant` means, from the config topic; None where it is not given.

    Raises:
        UsageError: the tenant has none.
    """
    return None if tenant is None else of_tenant(ConfigTopic(settings).read(), tenant)


def of_tenant(book: SubscriptionBook, tenant: str) -> frozenset[str]:
    """Likewise, in a book that has been read."""
    found = frozenset(entry.id for entry in book if entry.subscription.tenant == tenant)
    if not found:
        raise UsageError(
            f"There is no subscription of tenant {tenant}: `hooklane subscriptions list` shows all."
        )
    return found
