"""The `cloudevents` package as an independent writer and reader of both modes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from hooklane.schemas.cloudevents_encode import to_binary, to_structured
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, SourceRecord

TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
CONTENTS: list[tuple[str | None, Any, bytes | None]] = [
    ("application/json", {"amount": 12.3, "name": "Zoë"}, None),
    ("text/plain", "a;b", b"a;b"),
    ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
    ("application/json", None, None),
]


def written_by_the_package(content_type: str | None, data: Any) -> CloudEvent:
    attributes: dict[str, Any] = {
        "id": "e-1",
        "source": "/billing",
        "type": "invoice.paid",
        "subject": "Zürich/7",
        "time": TIME,
        "tenant": "acme",
        "partitionkey": "c-42",
    }
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return CloudEvent(attributes, data)


def read(message: kafka.KafkaMessage) -> Event:
    key = message.key.encode() if isinstance(message.key, str) else message.key
    headers = tuple(message.headers.items())
    found = decode(SourceRecord("t", "ab" * 16, 0, 1, 5, key, message.value, headers))
    assert isinstance(found, Event), found
    return found


@pytest.mark.parametrize("write", [kafka.to_binary_event, kafka.to_structured_event])
@pytest.mark.parametrize(("content_type", "data", "expected"), CONTENTS)
def test_what_the_package_writes_is_read(
    write: Any, content_type: str | None, data: Any, expected: bytes | None
) -> None:
    """Attributes, key, content type and data of the package's records are understood."""
    event = read(write(written_by_the_package(content_type, data)))
    assert event.attributes["time"] in {"2026-01-02T03:04:05.678000Z", "2026-01-02T03:04:05.678Z"}
    assert {name: event.attributes[name] for name in event.attributes if name != "time"} == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/billing",
        "type": "invoice.paid",
        "subject": "Zürich/7",
        "tenant": "acme",
    }
    assert (event.key, event.content_type, event.dropped) == (b"c-42", content_type, 0)
    if expected is not None:
        assert event.data == expected
    elif data is not None:
        assert event.document() == data


ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/billing",
    "type": "invoice.paid",
    "subject": "Zürich/7",
    "time": "2026-01-02T03:04:05.678Z",
    "tenant": "acme",
}


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("application/json", b'{"amount": 12.3}', {"amount": 12.3}),
        ("text/plain", "Zoë".encode(), "Zoë"),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff"),
    ],
)
def test_what_we_write_the_package_reads(
    mode: str, content_type: str, data: bytes, expected: object
) -> None:
    """The package finds the same attributes and data in what we write."""
    if mode == "binary":
        headers, value = to_binary(ATTRIBUTES, content_type), data
    else:
        headers, value = to_structured(ATTRIBUTES, content_type, data)
        assert json.loads(value)["specversion"] == "1.0"
    event = kafka.from_kafka_event(kafka.KafkaMessage(dict(headers), b"c-42", value))
    assert event.get_id() == "e-1"
    assert event.get_subject() == "Zürich/7"
    assert event.get_time() == TIME
    assert event.get_extension("tenant") == "acme"
    assert event.get_extension("partitionkey") == "c-42"
    assert event.get_datacontenttype() == content_type
    found = event.get_data()
    assert found in (expected, data)
