"""CloudEvents 1.0: which context attributes are good, whoever wrote them.

Sections of the specification: "Type System" (what a string may hold), "Attribute Naming
Convention", "Required Attributes", "Optional Attributes". The limits on length are ours: every
attribute becomes an HTTP header in the end, and receivers refuse requests whose headers are long.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from hooklane.schemas.cloudevents_trace import is_traceparent, is_tracestate

SPEC_VERSION: Final = "1.0"
HEADER_PREFIX: Final = "ce_"
CONTENT_TYPE: Final = "content-type"
STRUCTURED_JSON: Final = "application/cloudevents+json"

REQUIRED: Final = ("specversion", "id", "source", "type")
CORE: Final = frozenset((*REQUIRED, "subject", "time", "dataschema"))
ELSEWHERE: Final = frozenset(("datacontenttype", "partitionkey"))
"""Attributes that an event holds in another place: its content type and its key."""

MAX_NAME: Final = 64
MAX_VALUE: Final = 4096
"""Bytes of UTF-8 in one attribute's value."""
MAX_EXTENSIONS: Final = 8192
"""Bytes of UTF-8 in the names and values of all of an event's extension attributes together."""

_NAME = re.compile(r"[a-z0-9]+")
# Control characters, lone surrogates, and what Unicode calls noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
    )
    + "]"
)
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,18})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def attribute_fault(name: str, value: str) -> str | None:
    """Why an attribute cannot be taken, as the end of a sentence; None if it is good."""
    if name not in CORE:
        fault = _name_fault(name)
        if fault is not None:
            return fault
    if not value.isprintable() and _FORBIDDEN.search(value):
        return "has a control character or another one that CloudEvents forbids"
    if len(value) > MAX_VALUE or (not value.isascii() and len(value.encode()) > MAX_VALUE):
        return f"is longer than {MAX_VALUE} bytes"
    rule = _RULES.get(name)
    return None if rule is None else rule(value)


def extension_size(name: str, value: str) -> int:
    """How much of MAX_EXTENSIONS an extension attribute uses up, in bytes."""
    return len(name) + len(value.encode())


def is_timestamp(text: str) -> bool:
    """Whether it is an RFC 3339 timestamp of a day that exists. Without an offset it is not."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True


def _name_fault(name: str) -> str | None:
    if _NAME.fullmatch(name) is None:
        return "has a name with other characters than a to z and 0 to 9"
    if len(name) > MAX_NAME:
        return f"has a name longer than {MAX_NAME} characters"
    if name == "data":
        return "has the name that CloudEvents keeps for the data"
    return None


def _not_empty(value: str) -> str | None:
    return None if value else "is empty"


def _known_version(value: str) -> str | None:
    return None if value == SPEC_VERSION else f"is not {SPEC_VERSION}, the only version known here"


def _timestamp(value: str) -> str | None:
    return None if is_timestamp(value) else "is no RFC 3339 timestamp with an offset or Z"


def _traceparent(value: str) -> str | None:
    return None if is_traceparent(value) else "is no W3C traceparent"


def _tracestate(value: str) -> str | None:
    return None if is_tracestate(value) else "is no W3C tracestate"


_RULES: Mapping[str, Callable[[str], str | None]] = {
    "specversion": _known_version,
    "id": _not_empty,
    "source": _not_empty,
    "type": _not_empty,
    "subject": _not_empty,
    "dataschema": _not_empty,
    "time": _timestamp,
    "traceparent": _traceparent,
    "tracestate": _tracestate,
}
