"""Ids of events: UUIDs of version 7 (RFC 9562, section 5.7), which sort by their time."""

import os
import time

_TAIL = 20
"""Hex digits of randomness that an id takes, one of them for its variant alone."""
_AT_ONCE = 256
_VARIANT = {digit: "89ab"[int(digit, 16) & 0b11] for digit in "0123456789abcdef"}

# An id is made for every event: random bytes are asked for in bulk, the milliseconds are written
# once each. Appending and popping are atomic, so that no lock is needed.
_tails: list[str] = []
_now: tuple[int, str] = (0, "")


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds since the epoch, 74 random bits."""
    global _now  # noqa: PLW0603 - the last millisecond, as it is written
    milliseconds, written = _now
    if (now := time.time_ns() // 1_000_000) != milliseconds:
        digits = f"{now & 0xFFFF_FFFF_FFFF:012x}"
        written = f"{digits[:8]}-{digits[8:]}-"
        _now = (now, written)
    try:
        return written + _tails.pop()
    except IndexError:
        made = _new_tails()
        first = made.pop()
        _tails.extend(made)
        return written + first


def _new_tails() -> list[str]:
    """What of an id does not depend on the time, with version and variant."""
    random = os.urandom(_TAIL * _AT_ONCE // 2).hex()
    return [
        f"7{random[at : at + 3]}-{_VARIANT[random[at + 3]]}{random[at + 4 : at + 7]}"
        f"-{random[at + 7 : at + 19]}"
        for at in range(0, len(random), _TAIL)
    ]


# Two processes with the same randomness would give the same ids.
os.register_at_fork(after_in_child=_tails.clear)
