"""From a NewEvent to a Kafka record: attributes, data, key, ids, trace context."""

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from opentelemetry.trace.span import TraceState
from pydantic import BaseModel

from hooklane.producer import InvalidEventError, Mode, NewEvent
from hooklane.producer.encoding import EventEncoder, OutgoingRecord
from hooklane.producer.ids import new_id
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord

TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


def encoded(mode: Mode = Mode.BINARY, **fields: Any) -> OutgoingRecord:
    return EventEncoder("/billing", mode=mode).encode("t", NewEvent(type="paid", **fields))


def read(record: OutgoingRecord) -> Event:
    found = decode(
        SourceRecord("t", "ab" * 16, 0, 1, 5, record.key, record.value, tuple(record.headers))
    )
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize("mode", Mode)
def test_event_reads_back_as_it_was_said(mode: Mode) -> None:
    """Every field of a NewEvent is in the record, in either mode."""
    record = encoded(
        mode,
        data={"amount": 1},
        key="c-42",
        subject="x/1",
        id="e-1",
        time=TIME,
        dataschema="https://example.com/s",
        extensions={"tenant": "acme", "count": 7, "test": True},
        headers={"x-one": "1", "x-two": b"\xff"},
    )
    event = read(record)
    assert event.attributes == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/billing",
        "type": "paid",
        "subject": "x/1",
        "time": "2026-01-02T03:04:05.678000Z",
        "dataschema": "https://example.com/s",
        "tenant": "acme",
        "count": "7",
        "test": "true",
    }
    assert (event.key, event.content_type, event.document()) == (
        b"c-42",
        "application/json",
        {"amount": 1},
    )
    assert [one for one in record.headers if one[0].startswith("x-")] == [
        ("x-one", b"1"),
        ("x-two", b"\xff"),
    ]


class Model(BaseModel):
    amount: Decimal


@dataclass
class Data:
    at: datetime


@pytest.mark.parametrize(
    ("data", "content_type", "value", "found_type"),
    [
        ({"a": "ü"}, None, '{"a":"ü"}'.encode(), "application/json"),
        ("text", None, b'"text"', "application/json"),
        ("text", "text/plain", b"text", "text/plain"),
        (b"{}", "application/json", b"{}", "application/json"),
        (b"\xff", None, b"\xff", "application/octet-stream"),
        (None, None, b"", "application/json"),
        ([1, 2.5], "application/x+json", b"[1,2.5]", "application/x+json"),
        (Model(amount=Decimal("12.30")), None, b'{"amount":"12.30"}', "application/json"),
        (Data(TIME), None, b'{"at":"2026-01-02T03:04:05.678000Z"}', "application/json"),
        ({"NaN": "Infinity"}, None, b'{"NaN":"Infinity"}', "application/json"),
    ],
)
def test_data_by_its_kind(
    data: object, content_type: str | None, value: bytes, found_type: str
) -> None:
    """Bytes go as they are, the rest becomes JSON, or text where the content type says so."""
    record = encoded(data=data, content_type=content_type)
    assert record.value == value
    assert read(record).content_type == found_type


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"a": float("nan")}}, "is no JSON"),
        ({"data": [float("-inf")]}, "is no JSON"),
        ({"data": object()}, "is no JSON"),
        ({"data": {"a": "\ud800"}}, "is no JSON"),
        ({"data": {"a": b"\xff"}}, "is no JSON"),
        ({"data": {"a": 1}, "content_type": "text/plain"}, "is no text/plain"),
        ({"data": "\ud800", "content_type": "text/plain"}, "lone surrogate"),
        ({"content_type": "application/cloudevents+json"}, "the type of a whole CloudEvent"),
        ({"content_type": "json"}, "no media type"),
        ({"id": ""}, "'id' is empty"),
        ({"id": "a\r\nb"}, "control character"),
        ({"subject": ""}, "'subject' is empty"),
        ({"time": datetime(2026, 1, 2)}, "no time zone"),  # noqa: DTZ001 - what is refused
        ({"extensions": {"Tenant": "x"}}, "other characters"),
        ({"extensions": {"id": "x"}}, "id is no extension"),
        ({"extensions": {"partitionkey": "x"}}, "no attribute to set"),
        ({"headers": {"ce_id": "x"}}, "made from the event's own fields"),
        ({"headers": {"content-type": "x"}}, "made from the event's own fields"),
        ({"headers": {"x": "\ud800"}}, "lone surrogate"),
        ({"key": "\ud800"}, "lone surrogate"),
    ],
)
def test_events_that_cannot_be_written_are_refused(fields: dict[str, Any], message: str) -> None:
    """What would be dropped or made up for on the way is refused before it is sent."""
    with pytest.raises(InvalidEventError, match=message):
        encoded(**fields)


def test_recursive_data_is_refused() -> None:
    """Data that holds itself ends in an InvalidEventError, not in a crash."""
    data: list[object] = []
    data.append(data)
    with pytest.raises(InvalidEventError, match="is no JSON"):
        encoded(data=data)


def test_an_event_needs_a_source() -> None:
    """From the event, else from the publisher; without either it is refused."""
    assert read(encoded(source="/own")).attributes["source"] == "/own"
    with pytest.raises(InvalidEventError, match="has no source"):
        EventEncoder().encode("t", NewEvent(type="paid"))


def test_key_of_the_event_comes_before_the_function() -> None:
    """The key function is for events without a key; an empty key is a key."""
    encoder = EventEncoder("/billing", key=lambda event: f"by-{event.type}")
    assert encoder.encode("t", NewEvent(type="paid")).key == b"by-paid"
    assert encoder.encode("t", NewEvent(type="paid", key="own")).key == b"own"
    assert encoder.encode("t", NewEvent(type="paid", key="")).key == b""
    assert encoded().key is None


def test_time_is_written_in_utc() -> None:
    """Whatever zone the time has."""
    zone = timezone(timedelta(hours=5, minutes=30))
    assert read(encoded(time=TIME.astimezone(zone))).attributes["time"].startswith("2026-01-02T03")


def test_the_same_event_has_the_same_id() -> None:
    """Id and time are fixed when the event is made, so that a repeat is recognisable."""
    event = NewEvent(type="paid")
    encoder = EventEncoder("/billing")
    assert encoder.encode("t", event) == encoder.encode("t", event)
    assert NewEvent(type="paid").id != event.id


@given(
    st.text(max_size=8) | st.just("x" * 4097),
    st.none() | st.text(max_size=8) | st.just("ü" * 2100),
    st.datetimes(timezones=st.sampled_from((UTC, timezone(timedelta(hours=-3))))),
)
def test_what_is_written_without_a_check_would_have_passed_it(
    event_id: str, subject: str | None, time: datetime
) -> None:
    """The short way, for all but the first event of a kind, equals the long way, faults too."""
    event = NewEvent(type="paid", id=event_id, subject=subject, time=time)
    long, short = EventEncoder("/billing"), EventEncoder("/billing")
    short.encode("t", NewEvent(type="paid"))
    assert outcome(short, event) == outcome(long, event)


def outcome(encoder: EventEncoder, event: NewEvent) -> OutgoingRecord | str:
    try:
        return encoder.encode("t", event)
    except InvalidEventError as error:
        return str(error)


def test_timestamps_are_those_of_the_standard_library() -> None:
    """Also when the second changes, and changes back."""
    encoder = EventEncoder("/billing")
    for seconds in (0, 0, 1, 0, 86_400):
        time = TIME + timedelta(seconds=seconds, microseconds=7)
        event = read(encoder.encode("t", NewEvent(type="paid", time=time)))
        assert datetime.fromisoformat(event.attributes["time"]) == time


def test_many_kinds_of_events_take_no_memory() -> None:
    """What is kept of kinds of events is bounded, and the records stay right."""
    encoder = EventEncoder("/billing")
    for number in range(2500):
        event = NewEvent(type=f"t{number}", source=f"/s{number}")
        found = read(encoder.encode("t", event)).attributes
        assert (found["type"], found["source"]) == (f"t{number}", f"/s{number}")
    assert len(encoder._known) <= 1000


def test_a_forked_process_has_ids_of_its_own() -> None:
    """Parent and child share no randomness, though the parent has some in store."""
    new_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "\n".join(new_id() for _ in range(500)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        theirs = {one[14:] for one in told.read().split()}
    os.waitpid(child, 0)
    assert len(theirs) == 500
    assert not theirs & {new_id()[14:] for _ in range(500)}


def test_events_can_be_copied_and_sent_between_processes() -> None:
    """A NewEvent is a plain frozen dataclass to pickle, replace and compare."""
    event = NewEvent(type="paid", key="k", data={"a": 1}, subject="s")
    assert pickle.loads(pickle.dumps(event)) == event  # noqa: S301 - our own
    assert replace(event, subject="z").id == event.id
    with pytest.raises(FrozenInstanceError):
        event.key = "other"  # type: ignore[misc]


def test_ids_are_uuids_of_version_7() -> None:
    """RFC 9562: version and variant are right, the time leads, and no two are the same."""
    ids = [new_id() for _ in range(2000)]
    found = [UUID(one) for one in ids]
    assert {(one.version, one.variant) for one in found} == {(7, "specified in RFC 4122")}
    assert len(set(ids)) == len(ids)
    times = [one.int >> 80 for one in found]
    assert all(one <= other for one, other in pairwise(times))
    assert abs(times[0] / 1000 - datetime.now(UTC).timestamp()) < 60


@pytest.fixture
def in_a_span() -> Iterator[str]:
    state = TraceState([("vendor", "1")])
    span = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    token = otel.attach(set_span_in_context(NonRecordingSpan(span)))
    yield f"00-{trace.format_trace_id(0xABC)}-{trace.format_span_id(0xDEF)}-01"
    otel.detach(token)


@pytest.mark.parametrize("mode", Mode)
def test_trace_context_goes_along(mode: Mode, in_a_span: str) -> None:
    """The calling code's span is in the record's headers, and the decoder finds it."""
    event = read(encoded(mode, data={}))
    assert (event.traceparent, event.tracestate) == (in_a_span, "vendor=1")


def test_own_trace_headers_stay(in_a_span: str) -> None:
    """A trace context that the caller gives is not overwritten."""
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    record = encoded(headers={"traceparent": own})
    assert [value for name, value in record.headers if name == "traceparent"] == [own.encode()]


def test_without_a_span_there_is_no_context() -> None:
    """No trace, no header."""
    assert not {name for name, _ in encoded().headers} & {"traceparent", "tracestate"}


def test_structured_record_is_json_with_its_content_type() -> None:
    """The value is one JSON document, and the header says so."""
    record = encoded(Mode.STRUCTURED, data={"a": 1})
    assert ("content-type", b"application/cloudevents+json") in record.headers
    assert json.loads(record.value)["data"] == {"a": 1}
