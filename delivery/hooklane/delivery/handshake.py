"""The abuse protection of CloudEvents' HTTP webhooks 1.0.2, section 4: what is asked of a receiver
before its first delivery, and what its answer allows. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.schemas.subscription_values import RateLimit

_ALLOWED_S: Final = 3600.0
"""A receiver that changed its mind is asked again after that long."""
_REFUSED_S: Final = 30.0
_RATE = re.compile(r"[1-9][0-9]{0,6}")
_PER_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Allowed:
    """The receiver wants deliveries. `rate`: at most so many; None: as many as there are."""

    rate: RateLimit | None


def asking_headers(origin: str, rate: RateLimit | None) -> tuple[tuple[str, str], ...]:
    """Headers of the `OPTIONS` request. `origin`: the DNS name that the sender goes by."""
    asked = [("webhook-request-origin", origin)]
    if rate is not None:
        asked.append(("webhook-request-rate", str(_per_minute(rate))))
    return tuple(asked)


def judge_handshake(
    result: Response | Fault, origin: str, rate: RateLimit | None
) -> Allowed | Fault:
    """What an answer means. Only a clear word is permission."""
    if isinstance(result, Fault):
        return Fault(result.kind, f"the handshake failed: {result.detail}", result.address)
    headers = dict(result.headers)
    allowed = headers.get("webhook-allowed-origin", "").strip()
    told = headers.get("webhook-allowed-rate", "").strip()
    if not 200 <= result.status < 300:
        why = f"it answered {result.status}"
    elif allowed != "*" and allowed.lower() != origin.lower():
        why = f"its WebHook-Allowed-Origin does not name {origin}"
    elif told == "*" or (not told and rate is None):
        return Allowed(None)
    elif _RATE.fullmatch(told):
        return Allowed(RateLimit(int(told), _PER_MINUTE_S, f"{int(told)}/m"))
    else:
        why = "its WebHook-Allowed-Rate is no number of requests a minute"
    detail = f"the receiver did not agree to the handshake: {why}"
    return Fault(FaultKind.HANDSHAKE, detail, result.address)


class Standing:
    """How long an answer is good for. Times are monotonic seconds."""

    def __init__(self, answer: Allowed | Fault, now: float) -> None:
        self.answer = answer
        self._until = now + (_ALLOWED_S if isinstance(answer, Allowed) else _REFUSED_S)

    def holds(self, now: float) -> bool:
        return now < self._until


def _per_minute(rate: RateLimit) -> int:
    return max(1, int(rate.count * _PER_MINUTE_S / rate.per_s))
