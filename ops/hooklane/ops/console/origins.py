"""Whether a request may be what a page of the console sent: its host, its origin. Pure.

A page of a stranger whose name was made to lead here (DNS rebinding) has its own name in `Host`: so
only names that are known are answered. An IP address is no name, and cannot be rebound.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True, slots=True)
class Origins:
    """`public_url`: as in the settings."""

    public_url: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https."""
        return self.public_url is not None and self.public_url.startswith("https:")

    def takes_host(self, given: Sequence[str]) -> bool:
        """`given`: the values of the `Host` header."""
        if len(given) != 1:
            return False
        parts = _split(f"//{given[0]}")
        if parts is None or not parts.hostname or parts.path or parts.username is not None:
            return False
        name = parts.hostname.lower().rstrip(".")
        return name == "localhost" or _is_address(name) or name == self._public_name()

    def takes_post(self, host: str, origin: str | None, fetch_site: str | None) -> bool:
        """Whether a page of this very origin sent it. All browsers of today say at least one of
        `Origin` and `Sec-Fetch-Site`; who says neither is no page."""
        if fetch_site is not None and fetch_site != "same-origin":
            return False
        if origin is None:
            return fetch_site is not None
        return origin.lower() in {f"http://{host}".lower(), self.public_url} and origin != "null"

    def _public_name(self) -> str | None:
        return None if self.public_url is None else urlsplit(self.public_url).hostname


def local_path(given: str) -> str:
    """Where to go after the login: a path here, whatever was given."""
    parts = _split(given)
    if (
        parts is None
        or parts.scheme
        or parts.netloc
        or not given.startswith("/")
        or given.startswith("//")
        or "\\" in given
        or not given.isprintable()
    ):
        return "/"
    return given


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts
