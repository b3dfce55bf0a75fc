"""A folder of schemas: what is read from it, and how a file that cannot be used is named."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hooklane.schemas.event_types import (
    EventType,
    EventTypesError,
    SchemaKind,
    ValidationUnavailableError,
)
from hooklane.schemas.event_types_fault import MOST_FAULTS, json_path
from hooklane.schemas.event_types_read import read_event_types

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PAID: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Invoice paid",
    "description": "An invoice has been paid in full.",
    "deprecated": True,
    "examples": [{"id": "in_1", "lines": [{"amount": 100}]}],
    "x-hooklane": {
        "topics": ["billing.events"],
        "key": "the customer's id",
        "replaced_by": "invoice.paid.v2",
    },
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"type": "object", "properties": {"amount": {"type": "integer"}}}},
}
PAID_AVRO: dict[str, Any] = {
    "type": "record",
    "name": "InvoicePaid",
    "doc": "An invoice has been paid in full.",
    "hooklane": {
        "title": "Invoice paid",
        "deprecated": False,
        "examples": [{"id": "in_1", "amount": "12.50"}],
        "topics": ["billing.events"],
        "key": "the customer's id",
        "replaced_by": None,
    },
    "fields": [
        {"name": "id", "type": "string"},
        {
            "name": "amount",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
    ],
}


def folder(path: Path, **files: object) -> Path:
    """A folder with these files; `__` in a name stands for a dot."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (path / name.replace("__", ".")).write_text(text)
    return path


def refused(path: Path) -> str:
    with pytest.raises(EventTypesError) as found:
        read_event_types(path)
    return str(found.value).removeprefix(f"{path}/")


def only(path: Path, name: str) -> EventType:
    found = read_event_types(path).get(name)
    assert found is not None
    return found


def test_both_kinds_say_the_same_of_themselves(tmp_path: Path) -> None:
    """Title, description, topics, key, what replaces it and examples are found in either kind."""
    folder(tmp_path, invoice__paid__v1__json=PAID, invoice__paid__v2__avsc=PAID_AVRO)
    old, new = read_event_types(tmp_path)
    assert (old.name, new.name) == ("invoice.paid.v1", "invoice.paid.v2")
    assert (old.kind, new.kind) == (SchemaKind.JSON_SCHEMA, SchemaKind.AVRO)
    assert (old.schema, new.schema) == (PAID, PAID_AVRO)
    for one in (old, new):
        assert one.title == "Invoice paid"
        assert one.description == "An invoice has been paid in full."
        assert one.topics == ("billing.events",)
        assert one.key == "the customer's id"
    assert (old.deprecated, new.deprecated) == (True, False)
    assert (old.replaced_by, new.replaced_by) == ("invoice.paid.v2", None)
    assert old.examples == ({"id": "in_1", "lines": [{"amount": 100}]},)
    assert old.avro is None
    assert new.avro is not None
    assert new.avro.decode(new.avro.encode(new.examples[0])) == new.examples[0]


def test_a_bare_schema_is_enough(tmp_path: Path) -> None:
    """Nothing that describes a type has to be there."""
    record = {"type": "record", "name": "A", "fields": []}
    folder(tmp_path, b__json={}, a__avsc=record)
    types = read_event_types(tmp_path)
    assert [one.name for one in types] == ["a", "b"]
    assert len(types) == 2
    assert types.get("c") is None
    assert all(not one.faults({}) for one in types)


def test_other_files_are_left(tmp_path: Path) -> None:
    """Read-me files, hidden files and folders, as a mounted ConfigMap has, are no event types."""
    folder(tmp_path, README__md="no schema", a__json={})
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "folder.json").mkdir()
    assert [one.name for one in read_event_types(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        ({"id": "x"}, []),
        ({}, ['$: "id" is a required property']),
        (
            {"id": 1, "lines": [{}, {"amount": "secret"}]},
            [
                '$.id: the value is not of type "string"',
                '$.lines[1].amount: the value is not of type "integer"',
            ],
        ),
        ({"id": "x", "at": "soon"}, ['$.at: the value is not a "date-time"']),
        (None, ['$: the value is not of type "object"']),
    ],
)
def test_json_data_is_judged_by_its_schema(tmp_path: Path, data: object, faults: list[str]) -> None:
    """Each fault has its path, formats are checked too, and no value of the data is repeated."""
    folder(tmp_path, a__json={**PAID, "x-hooklane": {}})
    found = [str(fault) for fault in only(tmp_path, "a").faults(data)]
    assert sorted(found) == sorted(faults)
    assert "secret" not in str(found)


def test_whole_numbers_are_judged_exactly(tmp_path: Path) -> None:
    """A number beyond 64 bits is compared as it is, not as a float."""
    folder(tmp_path, a__json={"maximum": 2**70})
    one = only(tmp_path, "a")
    assert one.faults(2**70) == ()
    assert len(one.faults(2**70 + 1)) == 1


def test_faults_of_json_data_are_bounded(tmp_path: Path) -> None:
    """Ten thousand wrong items make no more than the first few faults."""
    folder(tmp_path, a__json={"items": {"type": "integer"}})
    assert len(only(tmp_path, "a").faults(["x"] * 10_000)) == MOST_FAULTS


def test_a_pattern_that_searches_for_ever_is_a_fault(tmp_path: Path) -> None:
    """A schema's expression cannot hold the service up: the engine gives up, and says so."""
    folder(tmp_path, a__json={"pattern": "^(?=(a+)+$)(a+)+$"})
    (fault,) = only(tmp_path, "a").faults("a" * 40 + "!")
    assert fault.path == "$"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{\n "type": "object",\n}', "a.json, line 3, column 1: is not JSON"),
        ("a.json", "[]", "a.json: is not a JSON object"),
        ("a.json", "[" * 100_000, "a.json: is not JSON"),
        ("a.json", {"title": 1}, "a.json, $.title: "),
        ("a.json", {"x-hooklane": {"topic": "x"}}, "a.json, $['x-hooklane'].topic: "),
        ("a.json", {"x-hooklane": {"topics": [1]}}, "a.json, $['x-hooklane'].topics[0]: "),
        (
            "a.json",
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            "a.json, $['$schema']: must be",
        ),
        ("a.json", {"properties": {"b": {"type": "strin"}}}, "a.json, $.properties.b.type: "),
        ("a.json", {"$ref": "other.json"}, "a $ref leads to what is in the same file"),
        (
            "a.json",
            {"$ref": "http://localhost:1/a.json"},
            "a $ref leads to what is in the same file",
        ),
        ("a.json", {"$ref": "#/$defs/none"}, "a.json, $: "),
        ("a.json", {"pattern": "("}, "a.json, $.pattern: "),
        ("a.json", {"type": "string", "examples": ["a", 1]}, "a.json, example 2, $: "),
        (
            "a.json",
            {"x-hooklane": {"replaced_by": "b"}},
            "a.json: replaced_by names b, which has no",
        ),
        ("a.avsc", {"type": "enum", "name": "E", "symbols": []}, "a.avsc, $.type: must be record"),
        ("a.avsc", {"type": "record", "name": "A"}, "a.avsc, $.fields: must be a list"),
        (
            "a.avsc",
            {"type": "record", "name": "A", "fields": [{"name": "b", "type": "nothing"}]},
            "a.avsc, $: UnknownType: nothing",
        ),
        (
            "a.avsc",
            {**PAID_AVRO, "hooklane": {"examples": [{"id": "1", "amount": 12.5}]}},
            "a.avsc, example 1, $.amount: is not a decimal number",
        ),
        ("a.avsc", {**PAID_AVRO, "hooklane": {"keys": "x"}}, "a.avsc, $.hooklane.keys: "),
        ("\u0007.json", {}, "the file's name is no event type"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: object, said: str
) -> None:
    """The error names the file and the place in it."""
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    assert said in refused(tmp_path)


def test_two_schemas_of_one_type_are_refused(tmp_path: Path) -> None:
    """A type has one schema: which of two would hold is nobody's guess."""
    folder(tmp_path, a__json={}, a__avsc=PAID_AVRO)
    assert refused(tmp_path) == "a.json: a.avsc is a schema of a too"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says which folder and why."""
    with pytest.raises(
        EventTypesError, match="none cannot be read as a folder of schemas: No such"
    ):
        read_event_types(tmp_path / "none")


def test_without_the_library_only_judging_json_schema_fails(tmp_path: Path) -> None:
    """Without the extra the folder is read and Avro judged; JSON Schema says what to install."""
    folder(tmp_path, a__json=PAID | {"x-hooklane": {}}, b__avsc=PAID_AVRO)
    source = (
        "import sys; from pathlib import Path; sys.modules['jsonschema_rs'] = None\n"
        "from hooklane.schemas.event_types_read import read_event_types\n"
        "a, b = read_event_types(Path(sys.argv[1]))\n"
        "print([str(fault) for fault in b.faults({'id': '1'})], a.can_judge)\n"
        "try: a.faults({})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True, check=False
    )
    judged, failed = told.stdout.splitlines()
    assert judged == "['$.amount: is missing'] False"
    assert failed.startswith(ValidationUnavailableError.__name__)
    assert failed.endswith("pip install 'hooklane[validation]'")


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ((), "$"),
        (("a", 0, "b_1"), "$.a[0].b_1"),
        (("a b", "it's", "\\"), "$['a b']['it\\'s']['\\\\']"),
        (("x" * 200,), f"$['{'x' * 100}']"),
    ],
)
def test_paths_are_json_paths(parts: tuple[str | int, ...], path: str) -> None:
    """Plain names stand after a dot, others in quotes, places in brackets (RFC 9535)."""
    assert json_path(parts) == path
