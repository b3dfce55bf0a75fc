"""The place of data readers: a real one for Avro's single-object encoding with one schema."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastavro

from hooklane.schemas.decode import decode
from hooklane.schemas.decode_binary import ReadableData
from hooklane.schemas.event import NOT_JSON, Event, SourceRecord, Unreadable

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
        self, record: SourceRecord, content_type: str | None
    ) -> ReadableData | Unreadable | None:
        data = record.value or b""
        if data[:2] != b"\xc3\x01":
            return None
        if data[2:10] != FINGERPRINT:
            return Unreadable(f"no schema with fingerprint {data[2:10].hex()}")
        return ReadableData(content_type or "avro/binary", self._reader(data))

    def _reader(self, data: bytes) -> Callable[[], object]:
        def read() -> object:
            self.reads.append(data)
            try:
                return fastavro.schemaless_reader(io.BytesIO(data[10:]), SCHEMA, None)
            except EOFError:
                return NOT_JSON

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
    assert (event.content_type, event.data, event.attributes["type"]) == (
        "avro/binary",
        data,
        "paid",
    )
    assert reader.reads == []
    assert event.document() == event.document() == {"invoice": "i-1", "amount": 7}
    assert reader.reads == [data]


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
