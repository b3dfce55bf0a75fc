"""Avro data by a registry's schemas and by a folder's: what is recognised, and how it is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from hooklane.schemas.avro_reader import AvroReader
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, NeedsSchema, SourceRecord, Unreadable
from hooklane.schemas.event_types import EventTypes
from hooklane.schemas.event_types_read import read_event_types
from hooklane.schemas.registry_schemas import (
    ASK_AGAIN_S,
    KnownSchemas,
    MissingSchema,
    RegisteredSchema,
)
from tests.support.fanout_facts import HandClock

PAID: dict[str, Any] = {
    "type": "record",
    "name": "Paid",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
# What comes after it: a new field with a default, another one gone.
NEWER: dict[str, Any] = {
    "type": "record",
    "name": "Paid",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "currency", "type": "string", "default": "EUR"},
    ],
}
OLD, NEW = AvroSchema(PAID), AvroSchema(NEWER)
DATA = {"id": "in_1", "at": "2026-01-31T00:00:00.000Z"}


def folder(path: Path, **files: object) -> EventTypes:
    for name, content in files.items():
        (path / name.replace("__", ".")).write_text(json.dumps(content))
    return read_event_types(path)


def registry(**known: dict[str, Any]) -> KnownSchemas:
    """Ids are `id7` and so on."""
    schemas = KnownSchemas(HandClock().monotonic)
    for name, source in known.items():
        schemas.learn(int(name.removeprefix("id")), RegisteredSchema("AVRO", json.dumps(source)))
    return schemas


def wire(schema_id: int, datum: bytes) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + datum


def read(
    reader: AvroReader,
    value: bytes,
    event_type: str = "paid",
    content_type: str | None = None,
) -> Event | Unreadable | NeedsSchema:
    headers: list[tuple[str, bytes | None]] = [("ce_type", event_type.encode())]
    if content_type is not None:
        headers.append(("content-type", content_type.encode()))
    record = SourceRecord("t", "T", 0, 1, 5, b"k", value, tuple(headers))
    found = decode(record, reader)
    if isinstance(found, Event):
        found.become_json()
        return found.unreadable or found
    return found


def data_of(found: object) -> object:
    assert isinstance(found, Event), found
    assert found.content_type == "application/json"
    return json.loads(found.data)


@pytest.mark.parametrize("content_type", [None, "application/avro", "avro/binary"])
def test_a_registered_schema_reads_the_wire_format(content_type: str | None) -> None:
    """A zero byte, the id and the datum are the JSON of the datum."""
    reader = AvroReader(None, registry(id7=PAID))
    assert data_of(read(reader, wire(7, OLD.encode(DATA)), content_type=content_type)) == DATA


def test_an_unknown_id_has_to_be_asked_for() -> None:
    """Nothing is said of the record before the registry has said something."""
    assert read(AvroReader(None, registry()), wire(7, b"x")) == NeedsSchema(7)


def test_without_a_registry_a_zero_byte_means_nothing(tmp_path: Path) -> None:
    """Neither alone nor with a folder of schemas is such a value anything but bytes."""
    types = folder(tmp_path, paid__avsc=PAID)
    value = wire(7, OLD.encode(DATA))
    for reader in (None, AvroReader(types, None)):
        record = SourceRecord("t", "T", 0, 1, 5, b"k", value)
        found = decode(record, reader)
        assert isinstance(found, Event)
        assert (found.content_type, found.data) == ("application/octet-stream", value)


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "text/plain"])
def test_what_says_that_it_is_something_else_is_left(tmp_path: Path, content_type: str) -> None:
    """A content type that is neither Avro nor JSON is believed."""
    reader = AvroReader(folder(tmp_path, paid__avsc=PAID), registry(id7=PAID))
    for value in (wire(7, OLD.encode(DATA)), OLD.encode_single_object(DATA)):
        found = read(reader, value, content_type=content_type)
        assert isinstance(found, Event)
        assert (found.content_type, found.data) == (content_type, value)


@pytest.mark.parametrize("value", [b"", b'{"a": 1.10}', b"\xc3", b"\xff\0", b"[1]"])
def test_other_data_is_read_as_ever(tmp_path: Path, value: bytes) -> None:
    """What does not begin like Avro is not touched."""
    reader = AvroReader(folder(tmp_path, paid__avsc=PAID), registry())
    record = SourceRecord("t", "T", 0, 1, 5, b"k", value)
    assert decode(record, reader) == decode(record)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\0\0\0", "the value begins with a zero byte and is too short for a schema id"),
        (wire(7, b"\x02"), "the data does not fit the registry's schema 7: "),
        (wire(7, OLD.encode(DATA) + b"x"), "1 bytes after the datum's end"),
        (wire(8, b""), "the registry's schema 8 is PROTOBUF: Avro and JSON can be read"),
        (wire(9, b""), "the schema registry has no schema 9"),
        (wire(10, b""), "the registry's schema 10 cannot be read: "),
    ],
)
def test_bad_avro_is_unreadable_with_the_reason(value: bytes, reason: str) -> None:
    """Each way to be bad has its sentence."""
    schemas = registry(id7=PAID)
    schemas.learn(8, RegisteredSchema("PROTOBUF", "syntax"))
    schemas.learn(9, MissingSchema("schema 9"))
    schemas.learn(10, RegisteredSchema("AVRO", '{"type": "record"}'))
    found = read(AvroReader(None, schemas), value)
    assert isinstance(found, Unreadable)
    assert reason in found.reason


def test_json_with_a_registered_schema_is_json() -> None:
    """The wire format of a JSON Schema has JSON behind the id, which goes on byte by byte."""
    schemas = registry()
    schemas.learn(7, RegisteredSchema("JSON", "{}"))
    found = read(
        AvroReader(None, schemas), wire(7, b'{"a": 1.10}'), content_type="application/json"
    )
    assert isinstance(found, Event)
    assert (found.content_type, found.data) == ("application/json", b'{"a": 1.10}')


def test_registered_schemas_come_with_their_references() -> None:
    """References are texts in the order in which they are needed; a bare name is a type too."""
    money = {"type": "fixed", "name": "Money", "size": 2}
    whole = {"type": "record", "name": "W", "fields": [{"name": "sum", "type": "Money"}]}
    schemas = registry()
    schemas.learn(7, RegisteredSchema("AVRO", json.dumps(whole), (json.dumps(money),)))
    schemas.learn(8, RegisteredSchema("AVRO", "string"))
    reader = AvroReader(None, schemas)
    assert data_of(read(reader, wire(7, b"ab"))) == {"sum": "YWI="}
    assert data_of(read(reader, wire(8, b"\x04ab"))) == "ab"


def test_what_the_registry_lacks_is_asked_for_again_after_a_while() -> None:
    """What is there is known for ever, what is not for a minute: each record would ask else."""
    clock = HandClock()
    schemas = KnownSchemas(clock.monotonic)
    schemas.learn(7, MissingSchema("schema 7"))
    schemas.learn(8, RegisteredSchema("JSON", "{}"))
    clock.now += ASK_AGAIN_S - 1
    assert schemas.get(7) == Unreadable("the schema registry has no schema 7")
    clock.now += 1
    assert schemas.get(7) is None
    assert schemas.get(8) is not None
    schemas.learn(7, RegisteredSchema("JSON", "{}"))
    clock.now += 10 * ASK_AGAIN_S
    assert not isinstance(schemas.get(7), Unreadable | None)


def test_single_objects_are_read_by_the_folder(tmp_path: Path) -> None:
    """The fingerprint finds the schema, whatever the event's type is."""
    reader = AvroReader(folder(tmp_path, paid__avsc=PAID), None)
    value = OLD.encode_single_object(DATA)
    assert data_of(read(reader, value)) == DATA
    assert data_of(read(reader, value, event_type="another")) == DATA


def test_a_fingerprint_that_no_schema_has_is_unreadable(tmp_path: Path) -> None:
    """The reason names the fingerprint and the setting."""
    found = read(
        AvroReader(folder(tmp_path, paid__avsc=PAID), None), NEW.encode_single_object({"id": "1"})
    )
    assert isinstance(found, Unreadable)
    assert NEW.fingerprint.hex() in found.reason
    assert "HOOKLANE_EVENTS__SCHEMAS_DIR" in found.reason


def test_without_avro_in_the_folder_a_single_object_is_bytes(tmp_path: Path) -> None:
    """The two marker bytes mean something only where they can be read."""
    found = read(AvroReader(folder(tmp_path, paid__json={}), None), OLD.encode_single_object(DATA))
    assert isinstance(found, Event)
    assert found.content_type == "application/octet-stream"


def test_older_and_newer_writers_are_seen_by_the_types_schema(tmp_path: Path) -> None:
    """Evolution: the event type's schema of the folder reads what either schema has written."""
    newest = folder(tmp_path, paid__avsc=NEWER, paid__avsc__1=PAID)
    schemas = registry(id1=PAID, id2=NEWER)
    reader = AvroReader(newest, schemas)
    older = {"id": "in_1", "currency": "EUR"}
    assert data_of(read(reader, OLD.encode_single_object(DATA))) == older
    assert data_of(read(reader, wire(1, OLD.encode(DATA)))) == older
    newer = {"id": "in_2", "currency": "CHF"}
    assert data_of(read(reader, wire(2, NEW.encode(newer)))) == newer
    assert data_of(read(reader, wire(1, OLD.encode(DATA)), event_type="another")) == DATA


def test_a_writer_newer_than_the_folder_is_seen_by_the_older_schema(tmp_path: Path) -> None:
    """A field that the type's schema does not know yet reaches no receiver."""
    earlier = {**PAID, "fields": PAID["fields"][:1]}
    reader = AvroReader(folder(tmp_path, paid__avsc=earlier), registry(id1=PAID))
    assert data_of(read(reader, wire(1, OLD.encode(DATA)))) == {"id": "in_1"}


def test_a_writer_that_the_types_schema_does_not_fit_is_unreadable(tmp_path: Path) -> None:
    """The reason says that it was the event type's schema which asked for more."""
    wanting = {**PAID, "fields": [{"name": "other", "type": "string"}]}
    reader = AvroReader(folder(tmp_path, paid__avsc=wanting), registry(id1=PAID))
    found = read(reader, wire(1, OLD.encode(DATA)))
    assert isinstance(found, Unreadable)
    assert "as the schema of paid sees it" in found.reason
    assert "other" in found.reason
