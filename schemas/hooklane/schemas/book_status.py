"""What the services found about a subscription: the records `<id>/status` in the config topic.

The operator's document is never rewritten by a service. A status names the offset of the document
that it judged, so that a newer document voids it.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hooklane.schemas.subscription_faults import Fault, SubscriptionError, quoted
from hooklane.schemas.subscription_text import read_document
from hooklane.schemas.subscription_values import parse_instant

STATUS_SUFFIX = "/status"


class StatusState(StrEnum):
    DISABLED = "disabled"
    """The receiver answered 410 Gone."""


@dataclass(frozen=True, slots=True)
class Status:
    """Why deliveries of the document at `judged_offset` go to dead letters."""

    state: StatusState
    reason: str
    judged_offset: int
    at: datetime


def status_key(subscription: str) -> bytes:
    """The record key of a subscription's status. A tombstone there clears the status."""
    return f"{subscription}{STATUS_SUFFIX}".encode()


def status_record(
    subscription: str, judged_offset: int, reason: str, at: str
) -> tuple[bytes, bytes]:
    """The key and value that disable a subscription. `at`: RFC 3339, with its offset.

    `judged_offset` is the config offset of the document whose receiver answered 410.
    """
    value = {
        "state": StatusState.DISABLED.value,
        "reason": reason,
        "judged_offset": judged_offset,
        "at": at,
    }
    return status_key(subscription), json.dumps(value, separators=(",", ":")).encode()


def read_status(data: bytes) -> Status:
    """Read a status record's value. Fields that this version does not know are left alone.

    Raises:
        SubscriptionError: it is no status.
    """
    found = read_document(data)
    if not isinstance(found, dict):
        raise SubscriptionError((Fault("", "the status must be a mapping"),))
    try:
        state = StatusState(str(found.get("state")))
    except ValueError:
        said = f"{quoted(found.get('state'))} is not a state of a status: disabled is"
        raise SubscriptionError((Fault("state", said),)) from None
    offset = found.get("judged_offset")
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise SubscriptionError((Fault("judged_offset", "must be an offset"),))
    try:
        at = parse_instant(found.get("at"))
    except ValueError as error:
        raise SubscriptionError((Fault("at", str(error)),)) from None
    return Status(state, str(found.get("reason", "")), offset, at)
