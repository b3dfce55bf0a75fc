"""Ids of events: UUIDs of version 7 (RFC 9562, section 5.7), which sort by their time."""

import secrets
import time

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = ((1 << 12) - 1) << 64
_RANDOM_B = (1 << 62) - 1


def new_id() -> str:
    """A UUIDv7: 48 bits of milliseconds since the epoch, 74 random bits."""
    random = secrets.randbits(80)
    high = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80
    bits = high | _VERSION | (random & _RANDOM_A) | _VARIANT | (random & _RANDOM_B)
    digits = f"{bits:032x}"  # four times as fast as a UUID object
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
