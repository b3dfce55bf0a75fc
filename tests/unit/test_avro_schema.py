"""Whole Avro schemas: faults with their places, unions, references, evolution, hostile bytes."""

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.avro_schema import AvroDataError, AvroSchema, AvroSchemaError
from hooklane.schemas.event_types_fault import MOST_FAULTS
from hooklane.schemas.single_object import MARKER

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
INVOICE: dict[str, Any] = {
    "type": "record",
    "name": "Invoice",
    "namespace": "billing",
    "fields": [
        {"name": "id", "type": "string"},
        {
            "name": "amount",
            "type": [
                "null",
                {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            ],
            "default": None,
        },
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["OPEN", "PAID"]}},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "fields": [
                        {"name": "amount", "type": "long"},
                        {"name": "labels", "type": {"type": "map", "values": "string"}},
                    ],
                },
            },
            "default": [],
        },
        {"name": "earlier", "type": ["null", "State"], "default": None},
    ],
}
GOOD: dict[str, Any] = {
    "id": "in_1",
    "amount": "12.50",
    "state": "PAID",
    "lines": [{"amount": 2**62, "labels": {"a b": "c"}}],
    "earlier": "OPEN",
}


def record(*fields: dict[str, Any]) -> AvroSchema:
    return AvroSchema({"type": "record", "name": "R", "fields": list(fields)})


def test_a_whole_document_comes_back_as_it_was() -> None:
    """Records, lists, maps, enums and unions are the JSON that was encoded."""
    avro = AvroSchema(INVOICE)
    assert avro.faults(GOOD) == ()
    assert avro.decode(avro.encode(GOOD)) == GOOD


def test_a_field_that_is_left_out_has_its_default() -> None:
    """What has a default may be missing, and what may be null too; it is then in the document."""
    avro = AvroSchema(INVOICE)
    assert avro.decode(avro.encode({"id": "in_1", "state": "OPEN"})) == {
        "id": "in_1",
        "amount": None,
        "state": "OPEN",
        "lines": [],
        "earlier": None,
    }


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"id": 1}, ["$.id: is not text"]),
        ({"state": "LOST"}, ["$.state: is not one of OPEN, PAID"]),
        ({"surplus": 1}, ["$.surplus: is not in the schema"]),
        (
            {"amount": "0.001"},
            ["$.amount: is not a decimal number as text, of the schema's digits"],
        ),
        (
            {"lines": [{"amount": 1, "labels": {"a b": 1}}, {"labels": {}}]},
            ["$.lines[0].labels['a b']: is not text", "$.lines[1].amount: is missing"],
        ),
        ({"lines": {}}, ["$.lines: is not a list"]),
        ({"earlier": 3}, ["$.earlier: is not one of OPEN, PAID"]),
    ],
)
def test_a_fault_names_its_place(change: dict[str, Any], faults: list[str]) -> None:
    """Each fault has the path of the value and what it is not, without the value itself."""
    assert [str(fault) for fault in AvroSchema(INVOICE).faults({**GOOD, **change})] == faults


def test_a_missing_field_is_a_fault() -> None:
    """A field without a default must be there."""
    faults = AvroSchema(INVOICE).faults({"id": "in_1"})
    assert [str(fault) for fault in faults] == ["$.state: is missing"]


def test_a_union_says_what_it_could_have_been() -> None:
    """Where several branches could be meant all of them are named."""
    avro = record({"name": "at", "type": ["null", "string", MILLIS]})
    (fault,) = avro.faults({"at": 3})
    assert str(fault) == (
        "$.at: is not null or text or a timestamp such as 2026-01-31T13:45:00.000Z"
    )


def test_faults_are_bounded() -> None:
    """Ten thousand wrong items make no more than the first few faults."""
    avro = record({"name": "all", "type": {"type": "array", "items": "int"}})
    assert len(avro.faults({"all": ["x"] * 10_000})) == MOST_FAULTS


def test_the_written_branch_decides_what_a_value_is() -> None:
    """In a union of date, timestamp and text a value comes out by the branch it was written in."""
    date = {"type": "int", "logicalType": "date"}
    avro = record({"name": "at", "type": ["null", date, MILLIS, "string"]})
    for value in (None, "2026-01-31", "2026-01-31T00:00:00.000Z", "tomorrow"):
        assert avro.decode(avro.encode({"at": value})) == {"at": value}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("string", "text"),
        (["null", "long"], 7),
        ({"type": "array", "items": MILLIS}, ["2026-01-31T00:00:00.000Z"]),
        ({"type": "map", "values": "bytes"}, {"a": "AP8="}),
    ],
)
def test_a_schema_need_not_be_a_record(schema: object, value: object) -> None:
    """A registry's schema may be of any type, and is encoded as fastavro encodes it."""
    avro = AvroSchema(schema)
    assert avro.decode(avro.encode(value)) == value


def test_schemas_may_refer_to_each_other() -> None:
    """The names of references are known, also of those that references use."""
    money = {
        "type": "fixed",
        "name": "com.Money",
        "size": 4,
        "logicalType": "decimal",
        "precision": 6,
        "scale": 2,
    }
    line = {
        "type": "record",
        "name": "com.Line",
        "fields": [{"name": "amount", "type": "com.Money"}],
    }
    whole = {
        "type": "record",
        "name": "com.Invoice",
        "fields": [
            {"name": "lines", "type": {"type": "array", "items": "com.Line"}},
            {"name": "sum", "type": "com.Money", "default": "\x00\x00\x00\x64"},
        ],
    }
    avro = AvroSchema(whole, [money, line])
    data = {"lines": [{"amount": "1.00"}]}
    assert avro.decode(avro.encode(data)) == {**data, "sum": "1.00"}
    (fault,) = avro.faults({"lines": [{"amount": 1}]})
    assert fault.path == "$.lines[0].amount"
    with pytest.raises(AvroSchemaError, match=r"com\.Line"):
        AvroSchema(whole, [money])


@pytest.mark.parametrize(
    ("kind", "default", "written"),
    [
        (MILLIS, 0, "1970-01-01T00:00:00.000Z"),
        ("bytes", "\u00ff", "/w=="),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, "\u0001", "0.01"),
        ("double", 1, 1.0),
        (["null", MILLIS], None, None),
        ([MILLIS, "null"], 0, "1970-01-01T00:00:00.000Z"),
        ({"type": "array", "items": MILLIS}, [0], ["1970-01-01T00:00:00.000Z"]),
        ({"type": "map", "values": "bytes"}, {"a": "b"}, {"a": "Yg=="}),
        (
            {"type": "record", "name": "In", "fields": [{"name": "a", "type": MILLIS}]},
            {"a": 0},
            {"a": "1970-01-01T00:00:00.000Z"},
        ),
    ],
)
def test_a_default_is_written_like_a_value(kind: Any, default: object, written: object) -> None:
    """A newer reader's default is what a datum with that value would have become."""
    writer = record({"name": "id", "type": "string"})
    reader = record(
        {"name": "id", "type": "string"}, {"name": "new", "type": kind, "default": default}
    )
    assert writer.decode(writer.encode({"id": "1"}), reader=reader) == {"id": "1", "new": written}


def test_a_reader_sees_what_a_newer_writer_wrote() -> None:
    """A field that the reader does not know is left out, one that it renamed is found."""
    writer = record({"name": "old", "type": "int"}, {"name": "more", "type": MILLIS})
    reader = record({"name": "new", "type": "double", "aliases": ["old"]})
    datum = writer.encode({"old": 3, "more": "2026-01-31T00:00:00Z"})
    assert writer.decode(datum, reader=reader) == {"new": 3.0}


@pytest.mark.parametrize(
    ("written", "read", "value", "seen"),
    [
        ("bytes", "string", "Yg==", "b"),
        ("string", "bytes", "b", "Yg=="),
        ("int", "long", 1, 1),
        ("float", "double", 0.5, 0.5),
        ("string", ["null", "string"], "a", "a"),
    ],
)
def test_types_are_promoted(written: Any, read: Any, value: object, seen: object) -> None:
    """A reader's wider type takes the writer's value (Avro 1.12, Schema Resolution)."""
    writer = record({"name": "v", "type": written})
    reader = record({"name": "v", "type": read})
    assert writer.decode(writer.encode({"v": value}), reader=reader) == {"v": seen}


def test_schemas_that_do_not_fit_each_other_are_said() -> None:
    """A reader that asks for what the writer never wrote is an error about the data."""
    writer = record({"name": "id", "type": "string"})
    reader = record({"name": "other", "type": "string"})
    with pytest.raises(AvroDataError, match="other"):
        writer.decode(writer.encode({"id": "1"}), reader=reader)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x02",
        b"\x04ab\x00\x00\x00\x00surplus",
        b"\x04ab\x00\x0e",
        b"\x02\xff\x00\x00\x00\x00",
    ],
)
def test_bytes_that_do_not_fit_are_said(bad: bytes) -> None:
    """Too few or too many bytes, no branch, no symbol, no text: always the same class of error."""
    with pytest.raises(AvroDataError):
        AvroSchema(INVOICE).decode(bad)


def test_a_datum_of_a_million_levels_is_refused() -> None:
    """A recursive schema's datum may be as deep as it likes: it is bad data and ends no process."""
    source = (
        "from hooklane.schemas.avro_schema import AvroDataError, AvroSchema\n"
        "link = {'name': 'next', 'type': ['null', {'type': 'array', 'items': 'L'}]}\n"
        "avro = AvroSchema({'type': 'record', 'name': 'L', 'fields': [link]})\n"
        "assert avro.decode(bytes([2, 2, 0, 0])) == {'next': [{'next': None}]}\n"
        "try:\n"
        "    avro.decode(bytes([2, 2]) * 1_000_000)\n"
        "except AvroDataError:\n"
        "    print('refused')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "refused\n")


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "record", "name": "E", "fields": []},
        {"type": "record", "name": "E", "fields": [{"name": "n", "type": "null"}]},
        {"type": "fixed", "name": "F", "size": 0},
    ],
)
def test_lists_of_nothing_are_refused(items: Any) -> None:
    """Ten bytes could say that there are 2^63 items, and each would take memory."""
    for schema in (
        {"type": "array", "items": items},
        ["null", {"type": "map", "values": {"type": "array", "items": items}}],
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": "all", "type": {"type": "array", "items": items}}],
        },
    ):
        with pytest.raises(AvroSchemaError, match="a list's items take no bytes"):
            AvroSchema(schema)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_not_to_fit(data: bytes) -> None:
    """Whatever comes under a schema's id: JSON values, or one class of error, and soon."""
    with suppress(AvroDataError):
        json.dumps(AvroSchema(INVOICE).decode(data), allow_nan=False)


@pytest.mark.parametrize(
    "source",
    [
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "nothing"}]},
        {"type": "record", "name": "R", "fields": [{"name": "a"}]},
        {"type": "record", "fields": []},
        {"name": "R"},
        {"type": "enum", "name": "E", "symbols": ["A", "A"]},
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long", "default": "x"}]},
        None,
        7,
    ],
)
def test_a_bad_schema_is_said(source: object) -> None:
    """Whatever is wrong with a schema, it is one class of error."""
    with pytest.raises(AvroSchemaError):
        AvroSchema(source)


def test_the_fingerprint_is_that_of_the_canonical_form() -> None:
    """Documentation, defaults and logical types do not change it: Avro's canonical form says so."""
    plain = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]}
    told = {**plain, "doc": "x", "fields": [{"name": "a", "type": MILLIS, "default": 0}]}
    assert AvroSchema(plain).fingerprint == AvroSchema(told).fingerprint
    canonical = fastavro.schema.to_parsing_canonical_form(plain)
    known = fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")
    assert AvroSchema(plain).fingerprint.hex() == known


def test_single_object_encoding_has_marker_and_fingerprint() -> None:
    """The ten bytes before the datum are C3 01 and the fingerprint."""
    avro = AvroSchema(INVOICE)
    whole = avro.encode_single_object(GOOD)
    assert whole[:10] == MARKER + avro.fingerprint
    assert avro.decode(whole, 10) == GOOD


def test_nothing_changes_for_others_who_use_fastavro() -> None:
    """The forms are known to fastavro under names of our own alone."""
    own = [name for name in fastavro.read.LOGICAL_READERS if "hooklane." in name]
    assert own
    assert "bytes-decimal" in fastavro.read.LOGICAL_READERS
    assert not [
        n
        for n in fastavro.read.LOGICAL_READERS
        if n.endswith(("-base64", "-number")) and "hooklane." not in n
    ]
