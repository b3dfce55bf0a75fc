"""From a row of an outbox to the record of an event."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hooklane.producer.outbox.layout import Layout, PayloadKind
from hooklane.producer.outbox.route import BadRowError, Route
from hooklane.producer.outbox.row import Row

ROW = Row(
    position=7,
    bucket=0,
    queue="orders\x1fc-42",
    id="e-1",
    aggregatetype="orders",
    aggregateid="c-42",
    type="order.paid",
    payload=b'{"amount": 12.50}',
    time=datetime(2026, 11, 26, 10, 0, 0, 250_000, tzinfo=UTC),
)


def headers_of(
    row: Row, kind: PayloadKind = PayloadKind.JSON, layout: Layout | None = None
) -> dict[str, bytes]:
    return dict(Route(layout or Layout(), kind).record(row).headers)


def test_a_row_is_a_cloudevent() -> None:
    """Topic and source come from the aggregatetype, the key is the aggregateid, the id the row's,
    and the payload goes on byte by byte."""
    record = Route(Layout(), PayloadKind.JSON).record(ROW)
    assert (record.topic, record.key, record.value) == ("orders.events", b"c-42", ROW.payload)
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"/orders",
        "ce_type": b"order.paid",
        "ce_time": b"2026-11-26T10:00:00.250000Z",
        "content-type": b"application/json",
    }


def test_a_row_makes_the_same_record_each_time() -> None:
    """A repeat is recognisable, and no different: a row with a time makes the same record again."""
    route = Route(Layout(), PayloadKind.JSON)
    assert route.record(ROW) == route.record(ROW)


@pytest.mark.parametrize(
    ("kind", "payload", "content_type"),
    [
        (PayloadKind.JSON, b"{}", b"application/json"),
        (PayloadKind.TEXT, b'{"a": 1}', b"application/json"),
        (PayloadKind.TEXT, b"hello", b"text/plain; charset=utf-8"),
        (PayloadKind.BYTES, b'{"a": 1}', b"application/octet-stream"),
    ],
)
def test_the_column_says_the_content_type(
    kind: PayloadKind, payload: bytes, content_type: bytes
) -> None:
    """json is JSON, text is JSON where it is, and bytes are bytes; a setting goes before all."""
    row = replace(ROW, payload=payload)
    assert headers_of(row, kind)["content-type"] == content_type
    told = Layout(content_type="application/x-protobuf")
    assert headers_of(row, kind, told)["content-type"] == b"application/x-protobuf"


def test_a_row_may_have_no_key_and_no_payload() -> None:
    """A null key stays one, and no payload is no data."""
    record = Route(Layout(), PayloadKind.JSON).record(replace(ROW, aggregateid=None, payload=None))
    assert (record.key, record.value) == (None, b"")


def test_further_headers_go_along() -> None:
    """What a row's headers say is in the record's."""
    found = headers_of(replace(ROW, headers='{"traceparent": "00-…", "tenant": "acme"}'))
    assert found["tenant"] == b"acme"
    assert found["traceparent"] == "00-…".encode()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (replace(ROW, id=None), "no id"),
        (replace(ROW, type=""), "no type"),
        (replace(ROW, type="a\nb"), "control character"),
        (replace(ROW, type="x" * 5000), "longer than"),
        (replace(ROW, aggregatetype=None), "no aggregatetype"),
        (replace(ROW, aggregatetype="or ders"), "no topic's name"),
        (replace(ROW, aggregatetype="x" * 250), "no topic's name"),
        (replace(ROW, headers="{"), "no JSON"),
        (replace(ROW, headers="[1]"), "no JSON object of texts"),
        (replace(ROW, headers='{"n": 1}'), "no JSON object of texts"),
        (replace(ROW, headers='{"ce_id": "x"}'), "ce_id"),
    ],
)
def test_what_cannot_be_an_event_says_why(row: Row, words: str) -> None:
    """A bad row is refused with its reason, and by nothing else than a BadRowError."""
    with pytest.raises(BadRowError, match=words):
        Route(Layout(), PayloadKind.JSON).record(row)
