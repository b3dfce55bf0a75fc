"""When an access token may be used, when to fetch the next one, and when to leave it. Pure."""

from dataclasses import dataclass
from typing import Final

_UNSAID_S: Final = 300.0
"""Lifetime of a token whose server tells none; a 401 ends it earlier."""
_REFRESH_AT: Final = 0.8
_LAST_S: Final = 5.0
"""Not used so shortly before its end: it would end on its way."""
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0
_BETWEEN_REJECTIONS_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Token:
    value: bytes
    refresh_at: float
    ends_at: float


class TokenLife:
    """One client's token at one server. Times are monotonic seconds.

    none --got--> fresh --(80 % of its life)--> to be refreshed, still used --(its end)--> none
    Each failure doubles the pause until the next fetch, from one second up to a minute.
    """

    def __init__(self) -> None:
        self._token: _Token | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._not_before = float("-inf")
        self._rejected_at = float("-inf")

    def usable(self, now: float) -> bytes | None:
        """The token, if it may be sent now."""
        token = self._token
        return token.value if token is not None and now < token.ends_at else None

    def wants_fetch(self, now: float) -> bool:
        """Whether a new one should be asked for now."""
        if now < self._not_before:
            return False
        return self._token is None or now >= self._token.refresh_at

    def got(self, value: bytes, lifetime_s: float | None, now: float) -> None:
        """The server gave one."""
        life_s = _UNSAID_S if lifetime_s is None else max(lifetime_s, 0.0)
        ends_at = now + life_s - min(_LAST_S, life_s * (1 - _REFRESH_AT))
        self._token = _Token(value, min(now + life_s * _REFRESH_AT, ends_at), ends_at)
        self._pause_s = _FIRST_PAUSE_S
        # One that ends at once must not be asked for in a circle.
        self._not_before = now + _FIRST_PAUSE_S if life_s < _FIRST_PAUSE_S else float("-inf")

    def failed(self, now: float) -> None:
        """The server gave none."""
        self._not_before = now + self._pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def rejected(self, value: bytes, now: float) -> bool:
        """A receiver answered 401 to it. Whether the request may go again with another token: with
        a newer one that is here, or one to be fetched; not when that was tried just now."""
        if self._token is not None and self._token.value != value:
            return True
        if now < self._rejected_at + _BETWEEN_REJECTIONS_S:
            return False
        self._rejected_at = now
        self._token = None
        return True
