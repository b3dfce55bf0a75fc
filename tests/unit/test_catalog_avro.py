"""The JSON Schema of an Avro schema, against the data that receivers really get."""

import io
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import fastavro
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.catalog_avro import AvroSchemaError, _written, json_schema
from hooklane.ops.catalog_sample import sample
from hooklane.schemas.avro_hazards import has_empty_items
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.avro_values import FORMS, Form

ORDER = json.loads((Path(__file__).parent / "data/schemas/order.shipped.avsc").read_text())
Typed: TypeAlias = tuple[Any, st.SearchStrategy[Any]]
"""An Avro type, and the values that a publisher may write for it."""


def _whole_ms(at: time) -> time:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_MICROS = st.integers(0, int((_LAST - _EPOCH).total_seconds()) * 10**6)
PLAIN: tuple[Typed, ...] = (
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
    ("string", st.text(st.characters(exclude_categories=["Cs"]))),
    ("bytes", st.binary()),
    ({"type": "long", "logicalType": "timestamp-millis"}, _MICROS.map(lambda n: n // 1000)),
    ({"type": "long", "logicalType": "timestamp-micros"}, _MICROS),
    ({"type": "long", "logicalType": "local-timestamp-millis"}, _MICROS.map(lambda n: n // 1000)),
    ({"type": "long", "logicalType": "local-timestamp-micros"}, _MICROS),
    ({"type": "int", "logicalType": "date"}, st.dates(date(1, 1, 1))),
    ({"type": "int", "logicalType": "time-millis"}, st.times().map(_whole_ms)),
    ({"type": "long", "logicalType": "time-micros"}, st.times()),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    ({"type": "string", "logicalType": "unheard-of"}, st.text("abc")),
    ({"type": "long", "logicalType": "decimal"}, st.integers(0, 9)),
)


@st.composite
def decimals(draw: st.DrawFn) -> Typed:
    scale = draw(st.integers(0, 6))
    precision = scale + draw(st.integers(1, 8))
    values = st.integers(-(10**precision) + 1, 10**precision - 1).map(
        lambda whole: Decimal(whole).scaleb(-scale)
    )
    return (
        {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale},
        values,
    )


def named(draw: st.DrawFn, names: "count[int]") -> Typed:
    """An enum or a fixed; fixed ones also as what they may stand for."""
    name = f"a.b.N{next(names)}"
    kind = draw(st.sampled_from(["enum", "fixed", "uuid", "duration"]))
    if kind == "enum":
        return {"type": "enum", "name": name, "symbols": ["A", "B"]}, st.sampled_from("AB")
    if kind == "fixed":
        return {"type": "fixed", "name": name, "size": 3}, st.binary(min_size=3, max_size=3)
    size = 16 if kind == "uuid" else 12
    fixed = {"type": "fixed", "name": name, "size": size, "logicalType": kind}
    return fixed, st.binary(min_size=size, max_size=size)


def list_of(inner: Any, values: st.SearchStrategy[Any]) -> Typed:
    """Of texts where the items would take no bytes: such a schema is refused."""
    if has_empty_items({"type": "array", "items": inner}, {}):
        inner, values = "string", st.text(max_size=3)
    return {"type": "array", "items": inner}, st.lists(values, max_size=3)


@st.composite
def records(draw: st.DrawFn) -> Typed:
    """A record of anything, with records, lists, maps and unions in it, and a name used twice."""
    names = count()

    def one(depth: int) -> Typed:  # noqa: PLR0911 - a case each
        kinds = ["plain", "decimal", "named"]
        if depth < 3:
            kinds += ["array", "map", "union", "record"]
        match draw(st.sampled_from(kinds)):
            case "plain":
                return draw(st.sampled_from(PLAIN))
            case "decimal":
                return draw(decimals())
            case "named":
                return named(draw, names)
            case "array":
                return list_of(*one(depth + 1))
            case "map":
                inner, values = one(depth + 1)
                texts = st.text("ab", max_size=3)
                return {"type": "map", "values": inner}, st.dictionaries(texts, values, max_size=3)
            case "union":
                inner, values = draw(st.sampled_from(PLAIN[1:]))
                return ["null", inner], st.none() | values
            case _:
                return record(depth + 1)

    def record(depth: int) -> Typed:
        name = f"R{next(names)}"
        fields = [one(depth) for _ in range(draw(st.integers(0, 4)))]
        schema = {
            "type": "record",
            "name": name,
            "namespace": "a.b",
            "fields": [{"name": f"f{at}", "type": kind} for at, (kind, _) in enumerate(fields)],
        }
        return schema, st.fixed_dictionaries(
            {f"f{at}": values for at, (_, values) in enumerate(fields)}
        )

    return record(0)


def received(avro: Any, value: Any) -> Any:
    """What a receiver gets of what a plain Avro producer wrote."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(avro), value)
    return AvroSchema(avro).decode(out.getvalue())


def validator(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


@given(st.data())
def test_what_arrives_fits(data: st.DataObject) -> None:
    """Any data that fastavro writes by any schema is valid, as it arrives, by the JSON Schema."""
    avro, values = data.draw(records())
    arrived = json.loads(json.dumps(received(avro, data.draw(values))))
    assert [one.message for one in validator(json_schema(avro)).iter_errors(arrived)] == []


@given(records())
def test_a_sample_of_any_schema_can_be_published(typed: Typed) -> None:
    """A sample made from the JSON Schema fits the Avro schema, and comes back as it is."""
    avro, _ = typed
    made = sample(json_schema(avro))
    assert AvroSchema(avro).faults(made) == ()
    arrived = AvroSchema(avro).decode(AvroSchema(avro).encode(made))
    assert validator(json_schema(avro)).is_valid(arrived)


@pytest.mark.parametrize(("kind", "form"), FORMS, ids=lambda one: getattr(one, "name", one))
def test_every_form_has_a_schema_of_its_own(kind: str, form: Form) -> None:
    """None in which Avro's values go out is plain text, and a sample of it is such a value."""
    size = {"uuid": 16, "duration": 12}.get(form.name, 3)
    avro = {"type": kind, "size": size, "precision": 5, "scale": 2}
    found = _written(form.name, avro)
    assert found != {"type": "string"}
    made = sample(found)
    assert form.read(form.write(made, avro), avro) == made


def test_a_schema_as_it_is_written() -> None:
    """Names of a namespace, a type used twice, one that holds itself, docs, what may be null."""
    found = json_schema(ORDER)
    assert found["title"] == "OrderShipped"
    assert found["required"] == [field["name"] for field in ORDER["fields"]]
    assert found["properties"]["order"] == {"type": "string", "description": "The order's number."}
    assert found["properties"]["total"]["pattern"] == "^-?[0-9]+[.][0-9]{2}$"
    assert found["properties"]["weight_kg"]["anyOf"][0] == {"type": "null"}
    parcel = found["$defs"]["shop.Parcel"]
    assert parcel["properties"]["carrier"] == {"$ref": "#/$defs/shop.Carrier"}
    assert parcel["properties"]["inside"]["items"] == {"$ref": "#/$defs/shop.Parcel"}
    assert found["$defs"]["shop.Carrier"]["enum"] == ["POST", "COURIER"]


def test_a_record_that_holds_itself() -> None:
    """The outermost record is the schema itself: within it, it is `#`."""
    tree = {
        "type": "record",
        "name": "Tree",
        "fields": [{"name": "children", "type": {"type": "array", "items": "Tree"}}],
    }
    found = json_schema(tree)
    assert found["properties"]["children"]["items"] == {"$ref": "#"}
    assert validator(found).is_valid({"children": [{"children": []}]})
    assert not validator(found).is_valid({"children": [{"childs": []}]})


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"total": "1.5"}, "total"),
        ({"total": 1.5}, "total"),
        ({"due": "15.01.2026"}, "due"),
        ({"carrier": "PIGEON"}, "carrier"),
        ({"shipped_at": 1768469400000}, "shipped_at"),
        ({"weight_kg": "heavy"}, "weight_kg"),
        ({"parcels": [{"sku": "a", "carrier": "POST"}]}, "parcels"),
        ({"tags": {"a": 1}}, "tags"),
    ],
)
def test_what_cannot_arrive_is_refused(wrong: dict[str, Any], place: str) -> None:
    """The schema is not just anything: each of these is a fault at its place."""
    good = sample(json_schema(ORDER))
    [fault] = validator(json_schema(ORDER)).iter_errors({**good, **wrong})
    assert fault.absolute_path[0] == place


@pytest.mark.parametrize(
    "avro", [{}, "nothing", {"type": "record"}, {"type": "array"}, 7, {"type": "x", "name": "y"}]
)
def test_no_avro_schema(avro: object) -> None:
    """Is said to be none, instead of a schema that nobody meant."""
    with pytest.raises(AvroSchemaError):
        json_schema(avro)
