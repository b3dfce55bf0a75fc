"""Plain records: what an event has that no CloudEvents publisher wrote."""

import pytest

from hooklane.schemas.decode import decode
from hooklane.schemas.event import NOT_JSON, Event, SourceRecord

PLAIN = SourceRecord(
    topic="billing.events",
    topic_id="ab" * 16,
    partition=3,
    offset=41,
    timestamp_ms=1_790_000_000_123,
    key=b"c-42",
    value=b'{"amount": 12.30}',
)


def event(record: SourceRecord) -> Event:
    found = decode(record)
    assert isinstance(found, Event)
    return found


def test_plain_record_becomes_an_event() -> None:
    """Id, source, type and time come from its place in Kafka, the data stays byte by byte."""
    assert event(PLAIN) == Event(
        topic="billing.events",
        topic_id="ab" * 16,
        partition=3,
        offset=41,
        timestamp_ms=1_790_000_000_123,
        key=b"c-42",
        attributes={
            "specversion": "1.0",
            "id": "billing.events-3-41",
            "source": "kafka://billing.events",
            "type": "billing.events",
            "time": "2026-09-21T14:13:20.123Z",
        },
        content_type="application/json",
        data=b'{"amount": 12.30}',
    )


def test_header_event_type_names_the_type() -> None:
    """`event-type` is a plain record's type; the last one counts if there are several."""
    headers = (("event-type", b"old"), ("event-type", b"invoice.paid"))
    assert event(PLAIN._replace(headers=headers)).attributes["type"] == "invoice.paid"


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"a\r\nb", b"x" * 5000])
def test_bad_event_type_falls_back_to_the_topic(value: bytes | None) -> None:
    """A type that is null, empty, no UTF-8, has a line break or is too long is the topic's name."""
    found = event(PLAIN._replace(headers=(("event-type", value),)))
    assert found.attributes["type"] == "billing.events"


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        (b"{}", "application/json"),
        (b'"text"', "application/json"),
        (b"12", "application/json"),
        (b"null", "application/json"),
        (b"{", "application/octet-stream"),
        (b"NaN", "application/octet-stream"),
        (b"\xff\xfe", "application/octet-stream"),
        (b"plain words", "application/octet-stream"),
        (b"\x00\x00\x00\x00\x07avro?", "application/octet-stream"),
        (b"[" * 100_000 + b"]" * 100_000, "application/octet-stream"),
        (b"", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
    ids=lambda value: repr(value)[:16],
)
def test_content_type_is_json_if_it_parses(value: bytes | None, content_type: str) -> None:
    """Without a content type the data is JSON or bytes; nothing at all is bytes."""
    found = event(PLAIN._replace(value=value))
    assert found.content_type == content_type
    assert found.data == (value or b"")
    assert (found.document() is NOT_JSON) == (content_type != "application/json")


def test_tombstone_is_an_event_with_an_empty_body() -> None:
    """A null value is an event too: its body is empty, and a content type is kept as given."""
    found = event(PLAIN._replace(value=None, headers=(("content-type", b"application/json"),)))
    assert (found.data, found.content_type) == (b"", "application/json")
    assert found.document() is NOT_JSON


@pytest.mark.parametrize(
    ("header", "content_type", "dropped"),
    [
        (b"text/plain; charset=utf-8", "text/plain; charset=utf-8", 0),
        (b"APPLICATION/JSON", "APPLICATION/JSON", 0),
        (b"json", "application/json", 1),
        (b"", "application/json", 1),
        (None, "application/json", 1),
        (b"text/plain\r\nx: y", "application/json", 1),
        (b"text/\xff", "application/json", 1),
        (b"text/plain" + b"; a=b" * 100, "application/json", 1),
        (b"text/plain" + b" ; " * 80 + b"\x00", "application/json", 1),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_content_type_header_must_be_a_media_type(
    header: bytes | None, content_type: str, dropped: int
) -> None:
    """A media type is kept as written; another text is dropped, counted, and made up for."""
    found = event(PLAIN._replace(headers=(("content-type", header),)))
    assert (found.content_type, found.dropped) == (content_type, dropped)


@pytest.mark.parametrize(
    ("milliseconds", "time"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_007, "2026-09-21T14:13:20.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, None),
        (2**63 - 1, None),
        (-1, None),
        (-(2**63), None),
    ],
)
def test_time_is_the_records_timestamp(milliseconds: int, time: str | None) -> None:
    """RFC 3339 in UTC; a record without a timestamp, or one beyond year 9999, has no time."""
    assert event(PLAIN._replace(timestamp_ms=milliseconds)).attributes.get("time") == time


def test_null_key_and_empty_key_stay_apart() -> None:
    """The key is handed on as it is."""
    assert event(PLAIN._replace(key=None)).key is None
    assert event(PLAIN._replace(key=b"")).key == b""


def test_content_attributes_without_a_version_are_taken_along() -> None:
    """A record with some `ce_` headers but no version keeps them and gets the rest."""
    found = event(PLAIN._replace(headers=(("ce_type", b"x"), ("ce_tenant", b"acme"))))
    assert found.attributes["type"] == "x"
    assert found.attributes["tenant"] == "acme"
    assert found.attributes["id"] == "billing.events-3-41"
    assert found.attributes["time"] == "2026-09-21T14:13:20.123Z"


def test_document_of_an_inferred_type_is_not_read_twice() -> None:
    """What was parsed to find the content type is the document, and not parsed again."""
    found = event(PLAIN)
    found.data = b"changed since"
    assert found.document() == {"amount": 12.3}
