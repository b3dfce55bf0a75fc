"""The place of data readers: a real one for Avro's single-object encoding with one schema."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastavro

from hooklane.schemas.decode import decode
from hooklane.schemas.decode_binary import ReadableData
from hooklane.schemas.event import (
    NOT_JSON,
    Event,
    NeedsSchema,
    SourceRecord,
    Unreadable,
    UnreadableDataError,
)

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Paid",
        "fields": [{"name": "invoice", "type": "string"}, {"name": "amount", "type": "int"}],
    }
)
FINGERPRINT = bytes.fromhex(
    fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO")
)


@dataclass
class OneSchema:
    """Reads records of one schema; keeps count of how often data was really read."""

    reads: list[bytes] = field(default_factory=list)

    def recognise(
        self, value: bytes, content_type: str | None
    ) -> ReadableData | Unreadable | NeedsSchema | None:
        if value[:2] != b"\xc3\x01":
            return NeedsSchema(7) if value[:1] == b"\x07" else None
        if value[2:10] != FINGERPRINT:
            return Unreadable(f"no schema with fingerprint {value[2:10].hex()}")
        return ReadableData(value, self._reader(value))

    def _reader(self, data: bytes) -> Callable[[str], object]:
        def read(event_type: str) -> object:
            self.reads.append(data)
            try:
                found = fastavro.schemaless_reader(io.BytesIO(data[10:]), SCHEMA, None)
            except EOFError as error:
                raise UnreadableDataError("the data is too short") from error
            return {"type": event_type, **found}  # type: ignore[dict-item]  # it is a record

        return read


def avro(datum: dict[str, Any]) -> bytes:
    out = io.BytesIO(b"\xc3\x01" + FINGERPRINT)
    out.seek(10)
    fastavro.schemaless_writer(out, SCHEMA, datum)
    return out.getvalue()


def record(value: bytes | None, *headers: tuple[str, bytes | None]) -> SourceRecord:
    return SourceRecord("t", "ab" * 16, 0, 1, 5, None, value, headers)


def test_reader_is_asked_once_and_only_for_the_document() -> None:
    """Recognising costs no reading; the document is read once, when somebody wants it."""
    reader = OneSchema()
    data = avro({"invoice": "i-1", "amount": 7})
    event = decode(record(data, ("ce_type", b"paid")), reader)
    assert isinstance(event, Event)
    assert event.is_encoded
    assert (event.content_type, event.data, reader.reads) == ("application/json", data, [])
    document = {"type": "paid", "invoice": "i-1", "amount": 7}
    assert event.document() == event.document() == document
    event.become_json()
    assert (reader.reads, event.is_encoded, event.unreadable) == ([data], False, None)
    assert json.loads(event.data) == event.document() == document


def test_a_structured_event_has_its_avro_in_base64() -> None:
    """What a publisher writes in structured mode is read as in binary mode."""
    data = avro({"invoice": "i-1", "amount": 7})
    value = {
        "specversion": "1.0",
        "type": "paid",
        "datacontenttype": "application/avro",
        "data_base64": base64.b64encode(data).decode(),
    }
    kind = ("content-type", b"application/cloudevents+json")
    event = decode(record(json.dumps(value).encode(), kind), OneSchema())
    assert isinstance(event, Event)
    assert event.is_encoded
    event.become_json()
    assert json.loads(event.data) == {"type": "paid", "invoice": "i-1", "amount": 7}
    assert event.content_type == "application/json"


def test_the_type_that_a_plain_record_gets_is_the_one_that_data_is_read_by() -> None:
    """Without a CloudEvents type it is the header's or the topic's name, and the reader gets it."""
    event = decode(record(avro({"invoice": "i-1", "amount": 7})), OneSchema())
    assert isinstance(event, Event)
    event.become_json()
    assert json.loads(event.data)["type"] == "t"


def test_data_that_cannot_be_read_says_why_and_stays_as_it_is() -> None:
    """Only whoever wants the data hears of it: no document, no JSON, and a reason."""
    data = avro({"invoice": "i-1", "amount": 7})[:-1]
    event = decode(record(data), OneSchema())
    assert isinstance(event, Event)
    assert event.unreadable is None
    event.become_json()
    assert (event.document(), event.data, event.is_encoded) == (NOT_JSON, data, True)
    assert event.unreadable == Unreadable("the data is too short")


def test_a_record_may_need_a_schema_first() -> None:
    """What the reader cannot say yet is passed on with the schema's id."""
    assert decode(record(b"\x07"), OneSchema()) == NeedsSchema(7)


def test_json_has_nothing_to_become() -> None:
    """Data that is JSON, or bytes, stays byte by byte."""
    for value in (b'{"a": 1.10}', b"\xff"):
        event = decode(record(value), OneSchema())
        assert isinstance(event, Event)
        event.become_json()
        assert (event.data, event.is_encoded, event.unreadable) == (value, False, None)


def test_reader_can_refuse_a_record() -> None:
    """An unknown schema is unreadable, with the reader's reason."""
    assert decode(record(b"\xc3\x01" + b"\0" * 8), OneSchema()) == Unreadable(
        "no schema with fingerprint 0000000000000000"
    )


def test_what_the_reader_does_not_know_is_read_as_ever() -> None:
    """JSON, bytes and tombstones go past a reader that does not recognise them."""
    for value in (b'{"a": 1}', b"\x00\x01", None):
        assert decode(record(value), OneSchema()) == decode(record(value))


def test_without_a_reader_avro_is_bytes() -> None:
    """The same record without a reader is an event with opaque data."""
    event = decode(record(avro({"invoice": "i-1", "amount": 7})))
    assert isinstance(event, Event)
    assert (event.content_type, event.document()) == ("application/octet-stream", NOT_JSON)
