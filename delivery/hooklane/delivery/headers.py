"""Which headers a request carries for an event, and which a subscription may add."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from hooklane.schemas.event import Event

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 5.5, without C1 control characters; the latter half of Latin-1 is allowed and obsolete.
_VALUE = re.compile(r"(?:[!-~\xa0-\xff](?:[\t -~\xa0-\xff]*[!-~\xa0-\xff])?)?")
_PLAIN = re.compile(r"[\x21\x23\x24\x26-\x7e]*")
_NOT_PLAIN = re.compile(r"[^\x21\x23\x24\x26-\x7e]")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Hop-by-hop (RFC 9110 7.6.1), framing, and what each delivery sets itself.
_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "stripe-signature",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-hub-signature-256",
        "x-shopify-hmac-sha256",
        "x-slack-request-timestamp",
        "x-slack-signature",
    }
)
_RESERVED_PREFIXES: Final = ("ce-", "hooklane-", "proxy-", "webhook-")


def custom_header_fault(name: str, value: str) -> str | None:
    """Why a subscription may not set this header, in one sentence, or None."""
    if not _TOKEN.fullmatch(name):
        return f"the header name {name!r} holds a character that HTTP does not allow there"
    if is_reserved(name):
        return f"the header {name} is set by the delivery itself; remove it from `headers`"
    if header_value_fault(value):
        return f"the value of the header {name} is not one line of printable text"
    return None


def plugin_header_fault(name: str, value: str) -> str | None:
    """Why a plugin may not add this header, or None. Its value may be a secret."""
    if not _TOKEN.fullmatch(name):
        return "a header whose name holds a character that HTTP does not allow there"
    if is_reserved(name):
        return f"the header {name}, which is set by the delivery itself"
    if header_value_fault(value):
        return f"the header {name} with a value that is not one line of printable text"
    return None


def is_reserved(name: str) -> bool:
    """Whether the delivery itself sets it, or HTTP."""
    lower = name.lower()
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)


def header_value_fault(value: str) -> bool:
    """Whether no header can carry it."""
    return _VALUE.fullmatch(value) is None


def attributes(event: Event) -> Iterator[tuple[str, str]]:
    """The event's context attributes as text, `partitionkey` among them, without the content type.

    Attributes that CloudEvents does not allow are left out: they would be headers or members
    that nobody could read.
    """
    for name, value in event.attributes.items():
        if _is_attribute(name):
            yield name, value
    key = partition_key(event.key)
    if key is not None:
        yield "partitionkey", key


def attribute_lines(event: Event) -> list[str]:
    """The same as headers of binary mode, `ce-<name>: <value>`, percent-encoded."""
    found = event.attributes
    starts = _starts(tuple(found))
    values = [found[name] for name, _ in starts]
    key = partition_key(event.key)
    # Nearly all values are plain: one look at all of them instead of one at each.
    if _PLAIN.fullmatch("".join(values)) is None:
        values = list(map(percent_encoded, values))
    lines = [start + value for (_, start), value in zip(starts, values, strict=True)]
    if key is not None:
        lines.append(f"ce-partitionkey: {percent_encoded(key)}")
    return lines


@lru_cache(maxsize=1024)
def _starts(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Those of the names that are attributes, each with how its line begins."""
    return tuple((name, f"ce-{name}: ") for name in names if _is_attribute(name))


@lru_cache(maxsize=4096)
def _is_attribute(name: str) -> bool:
    return _ATTRIBUTE.fullmatch(name) is not None and name not in {"data", "partitionkey"}


def partition_key(key: bytes | None) -> str | None:
    """The key as CloudEvents' `partitionkey`: not empty and without control characters.

    None for a binary key: any text for it could be the text of another key, and a receiver that
    groups by it would mix the two.
    """
    if not key:
        return None
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def percent_encoded(value: str) -> str:
    """A header value as the CloudEvents HTTP binding 1.0.2, section 3.1.3.2, has it."""
    if _PLAIN.fullmatch(value):
        return value
    return _NOT_PLAIN.sub(_percent, value)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace"))
