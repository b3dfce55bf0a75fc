"""How much of a receiver an engine takes in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes in bytes, times in seconds.

    A body above `body_bytes` is cut there and its connection dropped; a head above the others is
    a protocol fault. A connection that was idle for `idle_s` is closed: common servers close
    theirs after five seconds, and who sends at that moment loses an attempt. One older than
    `age_s` is not used again, so that a name that moved is followed also under load.
    """

    body_bytes: int = 64 * 1024
    head_bytes: int = 32 * 1024
    headers: int = 128
    idle_s: float = 4.0
    age_s: float = 300.0
