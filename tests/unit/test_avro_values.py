"""Avro's values in JSON and back: decimals, times, bytes, and what does not fit."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.avro_schema import AvroDataError, AvroSchema

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
FIXED_DECIMAL = {
    "type": "fixed",
    "name": "Money",
    "size": 6,
    "logicalType": "decimal",
    "precision": 12,
    "scale": 3,
}
DURATION = {"type": "fixed", "name": "Span", "size": 12, "logicalType": "duration"}


def logical(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "logicalType": name}


def datum(schema: Any, raw: object) -> bytes:
    """What fastavro writes of a value that has no logical type any more."""
    out = io.BytesIO()
    plain = {name: value for name, value in schema.items() if name != "logicalType"}
    fastavro.schemaless_writer(out, fastavro.parse_schema(plain), raw)
    return out.getvalue()


@pytest.mark.parametrize(
    ("schema", "raw", "written"),
    [
        (DECIMAL, b"\x04\xe2", "12.50"),
        (DECIMAL, b"\xff", "-0.01"),
        (DECIMAL, b"\x00", "0.00"),
        ({**DECIMAL, "scale": 0}, b"\x04\xe2", "1250"),
        (FIXED_DECIMAL, b"\x00\x00\x00\x00\x04\xe2", "1.250"),
        (logical("int", "date"), 20484, "2026-01-31"),
        (logical("int", "date"), -1, "1969-12-31"),
        (logical("int", "time-millis"), 49_500_007, "13:45:00.007"),
        (logical("long", "time-micros"), 49_500_000_007, "13:45:00.000007"),
        (logical("long", "timestamp-millis"), 0, "1970-01-01T00:00:00.000Z"),
        (logical("long", "timestamp-millis"), -1, "1969-12-31T23:59:59.999Z"),
        (logical("long", "timestamp-micros"), 1_500_000, "1970-01-01T00:00:01.500000Z"),
        (logical("long", "timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001Z"),
        (logical("long", "local-timestamp-millis"), 0, "1970-01-01T00:00:00.000"),
        (logical("long", "local-timestamp-micros"), 1, "1970-01-01T00:00:00.000001"),
        (logical("long", "local-timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001"),
        (
            logical("string", "uuid"),
            "6f1c2f0e-0c6c-4b3a-9d3a-3d6b0d1e2f30",
            "6f1c2f0e-0c6c-4b3a-9d3a-3d6b0d1e2f30",
        ),
        (
            {"type": "fixed", "name": "Id", "size": 16, "logicalType": "uuid"},
            bytes(range(16)),
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
        ),
        (
            DURATION,
            b"\x01\x00\x00\x00\x02\x00\x00\x00\xbc\x0b\x00\x00",
            "P1M2DT3.004S",
        ),
        ({"type": "bytes"}, b"\x00\xff", "AP8="),
        ({"type": "fixed", "name": "Four", "size": 4}, b"abcd", "YWJjZA=="),
        ({"type": "long"}, 2**63 - 1, 2**63 - 1),
        ({"type": "double"}, float("inf"), "Infinity"),
        ({"type": "double"}, float("-inf"), "-Infinity"),
        ({"type": "float"}, 1.5, 1.5),
        # Logical types that do not belong to their type, or that nobody knows, count for nothing.
        (logical("int", "timestamp-millis"), 7, 7),
        (logical("string", "colour"), "red", "red"),
        ({**DURATION, "size": 4}, b"abcd", "YWJjZA=="),
        ({"type": "bytes", "logicalType": "decimal"}, b"\x01", "AQ=="),
    ],
)
def test_each_logical_type_is_written_as_receivers_expect(
    schema: dict[str, Any], raw: object, written: object
) -> None:
    """The datum becomes this JSON value, and the JSON value the same datum again."""
    avro = AvroSchema(schema)
    bytes_ = datum(schema, raw)
    assert avro.decode(bytes_) == written
    assert avro.encode(written) == bytes_


def test_nan_is_text() -> None:
    """JSON has no NaN, so it is the word."""
    avro = AvroSchema({"type": "double"})
    assert avro.decode(avro.encode("NaN")) == "NaN"


@pytest.mark.parametrize(
    ("schema", "raw"),
    [
        (logical("long", "timestamp-millis"), 2**62),
        (logical("int", "date"), 2**31 - 1),
        (logical("int", "time-millis"), 86_400_000),
        (logical("int", "time-millis"), -1),
    ],
)
def test_a_time_that_cannot_be_written_does_not_fit(schema: dict[str, Any], raw: int) -> None:
    """A timestamp beyond the year 9999 or a time beyond the day is bad data, and said to be so."""
    with pytest.raises(AvroDataError):
        AvroSchema(schema).decode(datum(schema, raw))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (DECIMAL, "1.234"),
        (DECIMAL, "12345678901.00"),
        (DECIMAL, "1E+999999999"),
        (DECIMAL, "NaN"),
        (DECIMAL, "twelve"),
        (DECIMAL, 12.5),
        (logical("int", "date"), "31.01.2026"),
        (logical("int", "date"), "2026-W05-6"),
        (logical("int", "time-millis"), "13:45:00.0001"),
        (logical("int", "time-millis"), "24:00:00"),
        (logical("long", "timestamp-millis"), "2026-01-31T13:45:00"),
        (logical("long", "timestamp-millis"), "2026-02-31T13:45:00Z"),
        (logical("long", "timestamp-millis"), 1),
        (logical("long", "local-timestamp-millis"), "2026-01-31T13:45:00Z"),
        (logical("long", "timestamp-nanos"), "2300-01-31T13:45:00Z"),
        (logical("string", "uuid"), "not-one"),
        (DURATION, "P1Y"),
        (DURATION, "P9999999999M1DT1S"),
        ({"type": "bytes"}, "not base64!"),
        ({"type": "fixed", "name": "Four", "size": 4}, "YWJj"),
        ({"type": "double"}, "1"),
        ({"type": "double"}, True),
        ({"type": "int"}, 2**31),
        ({"type": "long"}, 2**63),
        ({"type": "long"}, 1.0),
        ({"type": "boolean"}, 1),
        ({"type": "null"}, 0),
        ({"type": "string"}, None),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
    ],
)
def test_what_does_not_fit_is_a_fault_and_is_not_written(
    schema: dict[str, Any], value: object
) -> None:
    """A value of the wrong kind, or with more digits than there is room for, is never bent."""
    avro = AvroSchema(schema)
    (fault,) = avro.faults(value)
    assert fault.path == "$"
    with pytest.raises(AvroDataError):
        avro.encode(value)


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        ("2026-01-31T14:45:00+01:00", "2026-01-31T13:45:00.000Z"),
        ("2026-01-31t13:45:00.5z", "2026-01-31T13:45:00.500Z"),
        ("2026-01-31 13:45:00.120000Z", "2026-01-31T13:45:00.120Z"),
    ],
)
def test_every_spelling_of_a_timestamp_is_read(value: str, same_as: str) -> None:
    """RFC 3339's other offsets, letters and fractions mean the same instant."""
    avro = AvroSchema(logical("long", "timestamp-millis"))
    assert avro.decode(avro.encode(value)) == same_as


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_decimals_are_exact(value: Decimal) -> None:
    """A decimal that fastavro writes comes out as the same number, with the schema's digits."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(DECIMAL)), value)
    avro = AvroSchema(DECIMAL)
    written = avro.decode(out.getvalue())
    assert written == f"{value:.2f}" or Decimal(str(written)) == value == 0
    assert Decimal(str(avro.decode(avro.encode(written)))) == value


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["millis", "micros"]))
def test_timestamps_are_the_same_instant(value: datetime, unit: str) -> None:
    """A timestamp that fastavro writes comes out as the same instant, to the schema's unit."""
    schema = logical("long", f"timestamp-{unit}")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(dict(schema)), value)
    avro = AvroSchema(schema)
    written = avro.decode(out.getvalue())
    short = value - datetime.fromisoformat(str(written))
    assert timedelta(0) <= short < timedelta(milliseconds=1 if unit == "millis" else 0.001)
    assert avro.decode(avro.encode(written)) == written


@given(st.binary(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())
def test_what_comes_out_is_json(raw: bytes, whole: int, number: float, text: str) -> None:
    """Every document can be written as JSON, and read again it is encoded to the same bytes."""
    avro = AvroSchema(
        {
            "type": "record",
            "name": "All",
            "fields": [
                {"name": "raw", "type": "bytes"},
                {"name": "whole", "type": ["null", "long"]},
                {"name": "number", "type": {"type": "map", "values": "double"}},
                {"name": "text", "type": {"type": "array", "items": "string"}},
            ],
        }
    )
    out = io.BytesIO()
    value = {"raw": raw, "whole": whole, "number": {text: number}, "text": [text]}
    fastavro.schemaless_writer(out, fastavro.parse_schema(avro.parsed), value)
    document = json.loads(json.dumps(avro.decode(out.getvalue()), allow_nan=False))
    assert avro.encode(document) == out.getvalue()
