"""What a record's place in Kafka supplies where its publisher said nothing, or nothing good."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from hooklane.schemas.cloudevents import REQUIRED, SPEC_VERSION, attribute_fault
from hooklane.schemas.cloudevents_trace import TraceContext, trace_context
from hooklane.schemas.decode_attributes import Attributes
from hooklane.schemas.event import Event, SourceRecord

Headers: TypeAlias = dict[str, bytes | None]

_REQUIRED = frozenset(REQUIRED)
EVENT_TYPE = "event-type"
"""The header that names the type of a plain record."""


def place(
    record: SourceRecord, headers: Headers, attributes: Attributes, content_type: str, data: bytes
) -> Event:
    """The event at this place, with the attributes that every event has."""
    found = attributes.found
    if not found.keys() >= _REQUIRED:
        _fill(found, record, headers)
    trace = _trace(headers, found)
    return Event(
        record.topic,
        record.topic_id,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.key,
        found,
        content_type,
        data,
        trace.traceparent,
        trace.tracestate,
        attributes.dropped,
    )


def timestamp(milliseconds: int) -> str | None:
    """RFC 3339 in UTC with milliseconds; None for no timestamp or one beyond the year 9999."""
    if milliseconds < 0:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    whole = _second(seconds)
    return None if whole is None else f"{whole}.{rest:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str | None:
    """Records come in the order of their times, so most are of the same second."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
    except (ValueError, OverflowError, OSError):
        return None


def _fill(found: dict[str, str], record: SourceRecord, headers: Headers) -> None:
    found.setdefault("specversion", SPEC_VERSION)
    found.setdefault("id", f"{record.topic}-{record.partition}-{record.offset}")
    found.setdefault("source", f"kafka://{record.topic}")
    if "type" not in found:
        found["type"] = _event_type(headers) or record.topic


def _event_type(headers: Headers) -> str | None:
    value = headers.get(EVENT_TYPE)
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if attribute_fault("type", text) is None else None


def _trace(headers: Headers, found: dict[str, str]) -> TraceContext:
    """The record's own headers come first: they are of the last hop, the extension of the first."""
    if "traceparent" in headers:
        trace = trace_context(_ascii(headers, "traceparent"), _ascii(headers, "tracestate"))
        if trace.traceparent is not None:
            return trace
    return trace_context(found.get("traceparent"), found.get("tracestate"))


def _ascii(headers: Headers, name: str) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("ascii", "replace")
