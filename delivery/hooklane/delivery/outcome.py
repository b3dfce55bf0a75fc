"""From a response or a fault to what it means for the delivery. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Final, assert_never

from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.schemas.records import AttemptOutcome

RETRY_AFTER_CAP_S: Final = 86_400.0
"""No receiver puts a delivery off by more than a day; it could as well be a wrong clock."""

_SECONDS = re.compile(r"[0-9]{1,15}")
_NEVER_AGAIN: Final = frozenset(
    {FaultKind.BLOCKED_ADDRESS, FaultKind.INVALID_URL, FaultKind.TOO_LARGE}
)


class StatusReason(StrEnum):
    """Why a status decided as it did. Where there was no status, the reason is a `FaultKind`."""

    ACCEPTED = "accepted"
    GONE = "gone"
    GIVE_UP_ON = "give-up-on"
    RETRY_AFTER = "retry-after"
    REDIRECT = "redirect"
    STATUS = "status"
    TEMPLATE = "template"
    """There was none: the payload's template failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    `reason` is a word (`StatusReason` or `FaultKind`), `detail` a sentence. `retry_after_s`: not
    again before that many seconds from now, whatever the tier. `gone`: the receiver wants no more
    (410), the subscription is to be disabled.
    """

    kind: AttemptOutcome
    reason: str
    detail: str
    status: int | None = None
    retry_after_s: float | None = None
    gone: bool = False


def judge(result: Response | Fault, give_up_on: Collection[int], now_s: float) -> Outcome:
    """What became of an attempt. `now_s`: seconds since the epoch, for `Retry-After` dates."""
    match result:
        case Fault():
            return _judge_fault(result)
        case Response():
            return _judge_response(result, give_up_on, now_s)
        case _:
            assert_never(result)


def setup_failed(detail: str) -> Outcome:
    """The request could not be made; somebody may mend that before the next attempt."""
    return Outcome(AttemptOutcome.FAILED, FaultKind.SETUP, detail)


def refused(detail: str) -> Outcome:
    """This event can never be sent: its document asks for what it has not."""
    return Outcome(AttemptOutcome.REFUSED, StatusReason.TEMPLATE, detail)


def plugin_failed(detail: str) -> Outcome:
    """A plugin could not do its part; somebody may mend it before the next attempt."""
    return Outcome(AttemptOutcome.FAILED, FaultKind.PLUGIN, detail)


def plugin_refused(detail: str) -> Outcome:
    """A plugin says that this event can never be sent."""
    return Outcome(AttemptOutcome.REFUSED, FaultKind.PLUGIN, detail)


def _judge_fault(fault: Fault) -> Outcome:
    again = fault.kind not in _NEVER_AGAIN
    kind = AttemptOutcome.FAILED if again else AttemptOutcome.REFUSED
    return Outcome(kind, fault.kind, fault.detail)


def _judge_response(response: Response, give_up_on: Collection[int], now_s: float) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return _accepted(status)
    answered = f"the receiver answered {_named(status)}"
    if status == 410:
        return Outcome(AttemptOutcome.REFUSED, StatusReason.GONE, answered, status, gone=True)
    if status in give_up_on:
        detail = f"{answered}, which `retry.give_up_on` names"
        return Outcome(AttemptOutcome.REFUSED, StatusReason.GIVE_UP_ON, detail, status)
    if status in {429, 503}:
        wait_s = retry_after(response.headers, now_s)
        if wait_s is not None:
            detail = f"{answered} and asked for {wait_s:.0f} s of patience"
            return Outcome(AttemptOutcome.FAILED, StatusReason.RETRY_AFTER, detail, status, wait_s)
    if 300 <= status < 400:
        detail = f"{answered}; redirects are not followed"
        return Outcome(AttemptOutcome.FAILED, StatusReason.REDIRECT, detail, status)
    return Outcome(AttemptOutcome.FAILED, StatusReason.STATUS, answered, status)


def retry_after(headers: Collection[tuple[str, str]], now_s: float) -> float | None:
    """Seconds to wait by `Retry-After` (RFC 9110 10.2.3), capped; None if absent or nonsense."""
    value = next((value.strip() for name, value in headers if name == "retry-after"), "")
    if _SECONDS.fullmatch(value):
        return min(float(value), RETRY_AFTER_CAP_S)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    wait_s = moment.timestamp() - now_s
    return min(wait_s, RETRY_AFTER_CAP_S) if wait_s > 0 else None


@cache
def _accepted(status: int) -> Outcome:
    answered = f"the receiver answered {_named(status)}"
    return Outcome(AttemptOutcome.DELIVERED, StatusReason.ACCEPTED, answered, status)


@cache
def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
