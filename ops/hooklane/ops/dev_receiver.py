"""Dev's own receiver: it takes every request, and verifies it by the subscriptions of the files."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from hooklane.ops.listen_verify import Scheme, SignatureCheck, signature_check
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.secrets import Secrets
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import Signing

_CHECKED: Mapping[str, Scheme] = {one.value: one for one in Scheme}
_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class ReceiverChecks:
    """What judges the requests to each path: the secrets of the subscriptions that go there.

    `port` is the receiver's, once it is known.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.port = 0
        self._secrets = secrets
        self._subscriptions: Sequence[Subscription] = ()

    def wanted(self, subscriptions: Mapping[str, Subscription]) -> None:
        """These are in the files now."""
        self._subscriptions = [one for one in subscriptions.values() if self._is_here(one.url)]

    def check_for(self, path: str) -> SignatureCheck | None:
        """None where no subscription of this path signs in a way that can be checked here."""
        found = [one for one in self._subscriptions if (urlsplit(one.url).path or "/") == path]
        checks = [check for one in found if (check := self._check(one.signing)) is not None]
        return _Any(checks) if checks and len(checks) == len(found) else None

    def _is_here(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.hostname in _HOSTS and parts.port == self.port

    def _check(self, signing: Signing | None) -> SignatureCheck | None:
        if signing is None or signing.scheme not in _CHECKED:
            return None
        try:
            secrets = [self._secrets.resolve(one.written()).decode() for one in signing.secrets]
            return signature_check(_CHECKED[signing.scheme], secrets)
        except (HooklaneError, UnicodeDecodeError):
            # The attempt says what ails the secret.
            return None


class _Any:
    """Genuine for one of several subscriptions is genuine."""

    def __init__(self, checks: Sequence[SignatureCheck]) -> None:
        self._checks = checks

    def cause(self, headers: Mapping[str, str], body: bytes, now_s: float) -> str | None:
        cause: str | None = None
        for check in self._checks:
            cause = check.cause(headers, body, now_s)
            if cause is None:
                return None
        return cause
