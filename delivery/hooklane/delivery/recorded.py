"""What of a response's headers stands in the attempt record. Pure."""

from functools import lru_cache
from typing import Final

from hooklane.runtime.redaction import REDACTED

SENSITIVE: Final = frozenset(
    {
        "authentication-info",
        "authorization",
        "cookie",
        "proxy-authentication-info",
        "proxy-authorization",
        "set-cookie",
        "set-cookie2",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-xsrf-token",
    }
)
"""Headers whose values are credentials, or may be used as such."""

_MOST: Final = 32
_LONGEST: Final = 256
"""So that a record stays small beside its KiB of body."""


@lru_cache(maxsize=64)
def recorded_headers(
    headers: tuple[tuple[str, str], ...], redact: frozenset[str]
) -> tuple[str, ...]:
    """`name: value` each, without the values of `redact`, in the order in which they came.

    Receivers repeat their headers, so most answers cost a look-up.
    """
    return tuple(
        f"{name}: {REDACTED if name in redact else value}"[:_LONGEST]
        for name, value in headers[:_MOST]
    )
