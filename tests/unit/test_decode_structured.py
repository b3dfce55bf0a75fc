"""CloudEvents in structured mode: the record's value is a JSON document."""

import json
from typing import Any

import pytest

from hooklane.schemas.decode import decode
from hooklane.schemas.event import NOT_JSON, Event, SourceRecord, Unreadable

STRUCTURED = b"application/cloudevents+json"
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/billing",
    "type": "invoice.paid",
}


def record(value: bytes | None, content_type: bytes = STRUCTURED) -> SourceRecord:
    headers = (("content-type", content_type),)
    return SourceRecord("billing.events", "ab" * 16, 3, 41, 1_790_000_000_123, b"k", value, headers)


def event(value: dict[str, Any] | bytes) -> Event:
    found = decode(record(value if isinstance(value, bytes) else json.dumps(value).encode()))
    assert isinstance(found, Event), found
    return found


def test_a_whole_cloudevent_is_read() -> None:
    """Attributes, data and content type come out of the document."""
    found = event({**GOOD, "subject": "x", "tenant": "acme", "data": {"amount": 1}})
    assert found.attributes == {**GOOD, "subject": "x", "tenant": "acme"}
    assert (found.content_type, json.loads(found.data)) == ("application/json", {"amount": 1})
    assert found.document() == {"amount": 1}
    assert (found.key, found.offset, found.dropped) == (b"k", 41, 0)


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON",
        b"application/cloudevents+json ;charset=utf-8",
        b"application/cloudevents+json; charset",
    ],
)
def test_content_type_may_have_parameters_and_capitals(content_type: bytes) -> None:
    """A media type is the same in capitals and with parameters."""
    found = decode(record(json.dumps(GOOD).encode(), content_type))
    assert isinstance(found, Event)
    assert found.attributes["id"] == "e-1"


@pytest.mark.parametrize(
    "data",
    [
        '{"amount": 12.30, "amount": 1e400}',
        "123456789012345678901234567890.123456789",
        "[1.0, 1E5, -0, 0.10]",
        '"\\u00fc\\n\\" }, {"',
        "null",
        "false",
        "[" * 150 + "]" * 150,
    ],
)
@pytest.mark.parametrize("form", ['{{{0},"data":{1}}}', '\n{{ "data" :\t{1} ,\r\n {0} }} '])
def test_data_goes_on_as_it_was_written(data: str, form: str) -> None:
    """No digit of the data changes, wherever it stands and however its document is laid out."""
    value = form.format(json.dumps(GOOD)[1:-1], data)
    assert event(value.encode()).data == data.encode()


def test_last_member_of_a_name_counts() -> None:
    """Of two `data` members the bytes and the document are both the last one's."""
    found = event(json.dumps(GOOD)[:-1].encode() + b',"data":{"a":1},"data":{"b":2}}')
    assert (found.data, found.document()) == (b'{"b":2}', {"b": 2})


@pytest.mark.parametrize(
    ("members", "content_type", "data"),
    [
        ({"data": "a;b", "datacontenttype": "text/csv"}, "text/csv", b"a;b"),
        ({"data": "a;b"}, "application/json", b'"a;b"'),
        ({"data": "x", "datacontenttype": "application/problem+json"}, None, b'"x"'),
        ({"data": [1], "datacontenttype": "text/csv"}, "text/csv", b"[1]"),
        ({"data": "ü", "datacontenttype": "text/plain"}, "text/plain", "ü".encode()),
        ({"data_base64": "/wA=", "datacontenttype": "image/png"}, "image/png", b"\xff\x00"),
        ({"data_base64": "/wA="}, "application/octet-stream", b"\xff\x00"),
        ({"data_base64": "e30="}, "application/json", b"{}"),
        ({"data_base64": "e30=", "datacontenttype": "text/json"}, "text/json", b"{}"),
        ({"data_base64": ""}, "application/octet-stream", b""),
        ({"data_base64": None, "data": 1}, "application/json", b"1"),
        ({"datacontenttype": "text/csv"}, "text/csv", b""),
        ({}, "application/octet-stream", b""),
    ],
)
def test_data_by_its_content_type(
    members: dict[str, Any], content_type: str | None, data: bytes
) -> None:
    """A string of a type that is not JSON is the text itself; base64 is bytes."""
    found = event({**GOOD, **members})
    assert found.content_type == (content_type or members["datacontenttype"])
    assert found.data == data


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (7, "7"), (-(2**31), "-2147483648"), ("x", "x"), ("", "")],
)
def test_values_become_their_canonical_text(value: object, text: str) -> None:
    """Integers and booleans are attributes too (type system 1.0)."""
    found = event({**GOOD, "ext": value})
    assert (found.attributes["ext"], found.dropped) == (text, 0)


def test_null_is_an_attribute_that_is_not_there() -> None:
    """A null attribute is unset and not bad; null for a required one is made up for."""
    found = event({**GOOD, "ext": None, "subject": None, "id": None})
    assert found.attributes == {**GOOD, "id": "billing.events-3-41"}
    assert found.dropped == 0


@pytest.mark.parametrize(
    "member",
    [
        {"ext": 1.5},
        {"ext": 2**31},
        {"ext": {"a": 1}},
        {"ext": ["a"]},
        {"ext": "a\r\nb"},
        {"ext": "x" * 4097},
        {"Ext": "x"},
        {"my_ext": "x"},
        {"": "x"},
        {"time": "2026-01-02T03:04:05"},
        {"subject": ""},
        {"datacontenttype": "csv"},
        {"datacontenttype": 7},
    ],
)
def test_bad_member_is_dropped_and_counted(member: dict[str, object]) -> None:
    """What is no attribute takes nothing else with it."""
    found = event({**GOOD, "data": {}, **member})
    assert (found.attributes, found.dropped) == (GOOD, 1)
    assert (found.data, found.content_type) == (b"{}", "application/json")


def test_partition_key_is_the_records_key() -> None:
    """`partitionkey` in the document is no attribute and not bad either."""
    found = event({**GOOD, "partitionkey": "other"})
    assert ("partitionkey" in found.attributes, found.key, found.dropped) == (False, b"k", 0)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not a JSON object"),
        (b"", "not a JSON object"),
        (b"{", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'"x"', "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b'{"specversion":"1.0","data":NaN}', "not a JSON object"),
        (b'{"specversion":"1.0","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not a JSON"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"specversion":"1.0","data":"\\ud800"}', "not a JSON object"),
        (b"{}", "specversion is not 1.0"),
        (b'{"amount": 7}', "specversion is not 1.0"),
        (b'{"specversion":"0.3","id":"1"}', "specversion is not 1.0"),
        (b'{"specversion":1.0}', "specversion is not 1.0"),
        (b'{"specversion":"1.0","data":1,"data_base64":"e30="}', "both data and data_base64"),
        (b'{"specversion":"1.0","data_base64":"e30"}', "not base64"),
        (b'{"specversion":"1.0","data_base64":"e3-_"}', "not base64"),
        ('{"specversion":"1.0","data_base64":"é"}'.encode(), "not base64"),
        (b'{"specversion":"1.0","data_base64":7}', "not base64"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_broken_document_is_unreadable_with_a_reason(value: bytes | None, reason: str) -> None:
    """A structured record without an event in it says why, and does not raise."""
    found = decode(record(value))
    assert isinstance(found, Unreadable)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        (b"application/cloudevents-batch+json", "one event a record"),
        (b"application/cloudevents+avro", "use application/cloudevents+json"),
        (b"application/cloudevents+xml; charset=utf-8", "use application/cloudevents+json"),
        (b"application/cloudevents\r\n\xff", "use application/cloudevents+json"),
        (b"application/cloudevents", "use application/cloudevents+json"),
    ],
)
def test_other_formats_are_unreadable_with_a_reason(content_type: bytes, reason: str) -> None:
    """Batches and other event formats are refused, each with what to do."""
    found = decode(record(b"[]", content_type))
    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_document_is_not_parsed_again() -> None:
    """The data's values were read with the document; text of another type is read when asked."""
    found = event({**GOOD, "data": {"a": 1}})
    found.data = b"changed since"
    assert found.document() == {"a": 1}
    assert event({**GOOD, "data": "a;b", "datacontenttype": "text/csv"}).document() is NOT_JSON


def test_headers_beside_a_structured_event_are_no_attributes() -> None:
    """In structured mode the document alone says what the event is (Kafka binding, 3.3)."""
    headers = (("content-type", STRUCTURED), ("ce_id", b"other"), ("ce_bad!", b"x"))
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, None, json.dumps(GOOD).encode(), headers))
    assert isinstance(found, Event)
    assert (found.attributes["id"], found.dropped) == ("e-1", 0)
