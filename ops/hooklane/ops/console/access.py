"""Who may come in, and under which name. Pure.

By the token, which is entered once and remembered in a signed cookie; or by the header in which an
authenticating proxy names its user, taken only from the proxy's own networks.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from hooklane.ops.console.sessions import Sessions
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings_console import ConsoleSettings

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,200}")
_LOOPBACK_NAMES: Final = frozenset({"localhost"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may come in. `name`: who acts, for the audit; `session`: what the tokens of
    this visitor's forms are bound to."""

    name: str
    session: str
    by_proxy: bool = False


@dataclass(frozen=True, slots=True)
class ProxyRule:
    """The header of an authenticating proxy, and the networks that it comes from."""

    header: str
    networks: Sequence[IPv4Network | IPv6Network]

    def name(self, peer: str, given: Sequence[str]) -> str | None:
        """The user's name; None where the header is not to be believed. `given`: its values."""
        if not is_within(peer, self.networks) or len(given) != 1:
            return None
        name = plain_name(given[0])
        return name or None


class Access:
    """`token`: None where only the proxy lets people in."""

    def __init__(self, token: str | None, proxy: ProxyRule | None, sessions: Sessions) -> None:
        self._token = None if token is None else _digest(token)
        self.proxy = proxy
        self._sessions = sessions

    @property
    def takes_token(self) -> bool:
        return self._token is not None

    def is_token(self, given: str) -> bool:
        """Compared in a time that tells neither its characters nor its length."""
        return self._token is not None and hmac.compare_digest(self._token, _digest(given))

    def enter(self, name: str) -> str:
        """The cookie of somebody who has entered the token."""
        return self._sessions.begin(plain_name(name))

    def visitor(self, peer: str, proxied: Sequence[str], cookie: str | None) -> Visitor | None:
        """Who asks. `peer`: the connection's other end; `proxied`: the values of the proxy's
        header."""
        if self.proxy is not None:
            name = self.proxy.name(peer, proxied)
            if name is not None:
                return Visitor(name, f"proxy:{name}", by_proxy=True)
        if not self.takes_token or cookie is None:
            return None
        session = self._sessions.read(cookie)
        return None if session is None else Visitor(session.name or "console", session.id)


def plain_name(given: str) -> str:
    """A name as it may be shown and written down; empty if it is none."""
    text = given.strip()
    return text if _NAME.fullmatch(text) else ""


def is_within(peer: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to it. A name other than `localhost` is not asked."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_reach(settings: ConsoleSettings) -> None:
    """Nobody else's machine may come in without being asked who it is.

    Raises:
        SettingsError: it would.
    """
    if settings.token is None and settings.user_header is None and not is_loopback(settings.host):
        raise SettingsError(
            f"HOOKLANE_CONSOLE__HOST {settings.host} can be reached by others: set "
            "HOOKLANE_CONSOLE__TOKEN, or HOOKLANE_CONSOLE__USER_HEADER for an authenticating "
            "proxy, or leave the host at 127.0.0.1."
        )


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
