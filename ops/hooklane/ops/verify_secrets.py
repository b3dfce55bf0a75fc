"""Where the secrets come from that a request is verified with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hooklane.runtime.errors import UsageError
from hooklane.schemas.subscription_parts import Signing, SigningScheme

if TYPE_CHECKING:
    from hooklane.runtime.settings import Settings

VARIABLE: Final = "HOOKLANE_VERIFY_SECRET"
"""A secret's value, for who has no reference to it."""
_KINDS: Final = frozenset({"env", "file", "enc"})


@dataclass(frozen=True, slots=True)
class SecretSource:
    """What was typed: references, a subscription, and the variable's value."""

    references: Sequence[str]
    subscription: str | None
    variable: str | None

    def check(self) -> None:
        """Raises UsageError: nothing is given, or a secret was typed where a reference belongs."""
        if any(one.partition(":")[0] not in _KINDS for one in self.references):
            raise UsageError(
                "--secret takes a reference such as env:NAME or file:NAME: put the secret itself "
                f"into {VARIABLE}."
            )
        if not self.references and self.subscription is None and not self.variable:
            raise UsageError(
                "No secret is given: name one by --secret env:NAME or file:NAME, take those of a "
                f"--subscription, or set {VARIABLE}."
            )


def signing_of(settings: "Settings", subscription: str) -> Signing:
    """How the subscription in force signs.

    Raises:
        UsageError: there is none, it does not sign, or a plugin does.
    """
    from hooklane.ops.subscriptions_topic import ConfigTopic  # noqa: PLC0415 - slow to import

    entry = ConfigTopic(settings).read().entry(subscription)
    if entry is None:
        raise UsageError(
            f"There is no subscription {subscription}: `hooklane subscriptions list` shows all."
        )
    if entry.subscription.signing is None:
        raise UsageError(f"The subscription {subscription} does not sign its requests.")
    if entry.subscription.signing.plugged is not None:
        raise UsageError(
            f"The subscription {subscription} is signed by the plugin"
            f" {entry.subscription.signing.scheme}, which only that plugin knows how to verify."
        )
    return entry.subscription.signing


def secrets_from(
    source: SecretSource, scheme: str | None, settings: "Callable[[], Settings]"
) -> tuple[str, list[bytes]]:
    """The scheme, and the secrets' values; `settings` are read only where they are needed.

    Raises:
        UsageError: see `SecretSource.check` and `signing_of`.
        SecretError: a reference leads nowhere.
    """
    source.check()
    if not source.references and source.subscription is None:
        return scheme or SigningScheme.STANDARD, [(source.variable or "").encode()]
    from hooklane.runtime.secrets import Secrets  # noqa: PLC0415 - as above

    found = settings()
    wanted = list(source.references)
    if source.subscription is not None:
        signing = signing_of(found, source.subscription)
        scheme = scheme or signing.scheme
        wanted += [one.written() for one in signing.secrets]
    resolver = Secrets(found.secrets)
    return scheme or SigningScheme.STANDARD, [resolver.resolve(one) for one in wanted]
