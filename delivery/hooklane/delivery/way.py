"""How the requests of one subscription differ from plain ones. Most subscriptions have no way."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from hooklane.delivery.target import Origin
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import Auth
from hooklane.schemas.subscription_values import EngineName, RateLimit


@dataclass(frozen=True, slots=True)
class Identity:
    """With what TLS is spoken instead of the service's own: a client certificate, an authority.

    `name` is a digest of all of it: connections of one identity are never used for another.
    `apart` gives one more context of the same, always the same one, for an engine whose transports
    change what they are given.
    """

    name: str
    context: ssl.SSLContext = field(compare=False, repr=False)
    apart: Callable[[], ssl.SSLContext] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Handshake:
    """A receiver is asked before its first delivery. `rate`: the document's, if it has one."""

    subscription: str
    rate: RateLimit | None


@dataclass(frozen=True, slots=True)
class Way:
    """What a document asks of how its requests are sent; engines look at the last two.

    `first_byte_s`: the longest wait for the first byte of an answer once the request is written.
    `identity` is filled in for each request, since files may have changed.
    """

    auth: Auth | None = None
    ca: str | None = None
    engine: EngineName | None = None
    handshake: Handshake | None = None
    first_byte_s: float | None = None
    identity: Identity | None = None

    def line(self, origin: Origin) -> "Line":
        """Which connections its requests may use."""
        return origin if self.identity is None else (origin, self.identity.name)


Line = Origin | tuple[Origin, str]
"""Whom a connection may be used for: an origin, with the identity that it was made with."""


def way_of(document: Subscription) -> Way | None:
    """What the document asks; None for a plain one."""
    limits = document.delivery
    first_byte, ca = limits.first_byte_timeout, limits.ca
    way = Way(
        auth=document.auth,
        ca=None if ca is None else ca.written(),
        engine=limits.engine,
        handshake=Handshake(document.id, limits.rate_limit) if limits.handshake else None,
        first_byte_s=None if first_byte is None else first_byte.seconds,
    )
    return None if way == Way() else way
