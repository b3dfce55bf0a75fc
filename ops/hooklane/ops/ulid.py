"""ULIDs: 26 characters of Crockford's base 32, a time in milliseconds and 80 random bits."""

import secrets
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid(now_ms: int | None = None) -> str:
    """A new identifier; of two, the one of an earlier millisecond sorts first.

    `now_ms`: milliseconds since the epoch, below 2^48; by default the clock's.
    """
    at = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    number = at << 80 | secrets.randbits(80)
    return "".join(_DIGITS[number >> shift & 31] for shift in range(125, -1, -5))
