"""What every webhook carries and how it may be answered, as the catalog's documents say it."""

from dataclasses import dataclass
from typing import Any, Final

SIGNATURE: Final = "webhook-signature"
SIGNING: Final = (
    "Standard Webhooks: `v1,` and the base64 of an HMAC-SHA256 over "
    "`webhook-id.webhook-timestamp.body`, one for each active secret, separated by spaces. "
    "Verify it over the bytes of the body as they came, and refuse a timestamp that is more than "
    "five minutes off."
)


@dataclass(frozen=True, slots=True)
class Header:
    """`always`: whether every request has it."""

    name: str
    description: str
    schema: dict[str, Any]
    example: str
    always: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """`status`: as OpenAPI writes it. `retry_after`: whether that header is heeded."""

    status: str
    name: str
    description: str
    retry_after: bool = False


_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}

HEADERS: Final = (
    Header(
        "webhook-id",
        "The delivery's id: the same at every attempt. Remember those that you have, and drop what "
        "comes again.",
        {"type": "string", "pattern": "^msg_[0-9a-f]{32}$"},
        "msg_c6ffb3ff9d12b000fd1655e9a592fd5d",
    ),
    Header(
        "webhook-timestamp",
        "When this attempt was signed, in whole seconds since 1970.",
        {"type": "integer"},
        "1768469400",
    ),
    Header(
        SIGNATURE,
        SIGNING,
        {"type": "string", "pattern": "^v1a?,[A-Za-z0-9+/=]+( v1a?,[A-Za-z0-9+/=]+)*$"},
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
    Header("ce-specversion", "The version of CloudEvents.", {"const": "1.0"}, "1.0"),
    Header("ce-id", "The event's id, unique within its source.", _TEXT, "0198c1f2-7d3a"),
    Header(
        "ce-source", "Where it happened.", {"type": "string", "format": "uri-reference"}, "/shop"
    ),
    Header("ce-type", "What happened: the event type.", _TEXT, "order.paid"),
    Header(
        "ce-time",
        "When it happened.",
        {"type": "string", "format": "date-time"},
        "2026-01-15T09:30:00Z",
        always=False,
    ),
    Header("ce-subject", "What it happened to.", _TEXT, "orders/1001", always=False),
    Header(
        "ce-partitionkey",
        "The key. Events of one key come in order, one after the other.",
        _TEXT,
        "c-42",
        always=False,
    ),
    Header(
        "hooklane-lane",
        "Within what the order holds: one key's events for your subscription. Absent where there "
        "is no order.",
        {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "03aa920d5f2e4c1b9a7d6e8f00112233",
        always=False,
    ),
    Header(
        "hooklane-sequence",
        "Rises within `hooklane-lane`: drop what is below what you have of it. There are gaps.",
        _COUNT,
        "41",
    ),
    Header(
        "hooklane-attempt", "Which attempt this is, from 1.", {"type": "integer", "minimum": 1}, "1"
    ),
    Header(
        "hooklane-replay",
        "There only if an operator has this delivered again: it is a lane of its own.",
        _TEXT,
        "replay-0198c1f2",
        always=False,
    ),
    Header(
        "traceparent",
        "W3C Trace Context of this attempt.",
        _TEXT,
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        always=False,
    ),
)

ANSWERS: Final = (
    Answer("2XX", "Delivered", "The event is safe with you. Answer first, work afterwards."),
    Answer("410", "Gone", "Disables the subscription: nothing is sent any more."),
    Answer(
        "429", "TooMany", "Failed; the next attempt not before `Retry-After`.", retry_after=True
    ),
    Answer("503", "Away", "Failed; the next attempt not before `Retry-After`.", retry_after=True),
    Answer(
        "default",
        "Failed",
        "Anything else, redirects and time-outs too, has failed: it is tried again later, and the "
        "later events of its key wait for it. Statuses that the subscription names in "
        "`retry.give_up_on` are not tried again.",
    ),
)
RETRY_AFTER: Final = Header(
    "Retry-After", "Seconds, or a date as HTTP has it.", _TEXT, "120", always=False
)
