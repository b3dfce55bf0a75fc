"""Versions by name, fields in rows, references that move: what the catalog is put together from."""

import pytest

from hooklane.ops.catalog_entry import duplicate_slugs, slug
from hooklane.ops.catalog_fields import Field, fields
from hooklane.ops.catalog_pointer import moved
from hooklane.ops.catalog_versions import Version, families, version_of


@pytest.mark.parametrize(
    ("name", "family", "major"),
    [
        ("invoice.paid.v2", "invoice.paid", 2),
        ("invoice.paid-v10", "invoice.paid", 10),
        ("invoice/paid/V3", "invoice/paid", 3),
        ("invoice_v0", "invoice", 0),
        ("invoice.paid", "invoice.paid", None),
        ("tv3", "tv3", None),
        ("v1", "v1", None),
        ("v2.invoice", "v2.invoice", None),
        ("invoice.v2.paid", "invoice.v2.paid", None),
        ("a.v1.2", "a.v1.2", None),
    ],
)
def test_a_major_version_is_at_the_end(name: str, family: str, major: int | None) -> None:
    """Behind a separator; a name that only ends like one is a family of its own."""
    assert version_of(name) == Version(name, family, major)


def test_versions_stand_together_the_oldest_first() -> None:
    """By their numbers and not as text, and what has no number first."""
    found = families(["b", "a.v10", "a.v9", "a", "a.b.v0"])
    assert [(one.name, [version.name for version in one.versions]) for one in found] == [
        ("a", ["a", "a.v9", "a.v10"]),
        ("a.b", ["a.b.v0"]),
        ("b", ["b"]),
    ]


def test_a_name_as_a_file() -> None:
    """What a file or a component may not be called is written by its code; clashes are named."""
    assert slug("invoice.paid-v2_x") == "invoice.paid-v2_x"
    assert slug("a/b:ü") == "a_2fb_3a_fc"
    assert duplicate_slugs(["a/b", "A.b", "a_2fb", "a.B"]) == ["a_2fb", "a.B"]


def test_fields_of_everything() -> None:
    """Lists, maps, alternatives, parts by reference; what holds itself is not followed again."""
    schema = {
        "properties": {
            "id": {"type": "string", "description": "Its id.", "maxLength": 9},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/a.Line"}},
            "tags": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
            "who": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a.Person"}]},
            "parent": {"$ref": "#"},
            "kind": {"const": "x", "deprecated": True},
        },
        "required": ["id", "lines"],
        "$defs": {
            "a.Line": {
                "type": "object",
                "properties": {"sku": {"enum": ["a", 1]}, "inside": {"$ref": "#/$defs/a.Line"}},
                "required": ["sku"],
            },
            "a.Person": {"type": "object", "properties": {"name": {}}},
        },
    }
    assert fields(schema) == [
        Field("id", "string, at most 9 characters", True, False, "Its id."),
        Field("lines", "array of Line", True, False, ""),
        Field("lines[].sku", "one of a, 1", True, False, ""),
        Field("lines[].inside", "Line", False, False, ""),
        Field("tags", "map to integer or null", False, False, ""),
        Field("tags.*", "integer or null", False, False, ""),
        Field("who", "Person or null", False, False, ""),
        Field("who.name", "anything", False, False, ""),
        Field("parent", "itself", False, False, ""),
        Field("kind", "always x", False, True, ""),
    ]


def test_references_move_with_their_schema() -> None:
    """To where it stands; data that only looks like a reference stays."""
    schema = {
        "properties": {"$ref": {"$ref": "#/$defs/a"}, "b": {"items": {"$ref": "#"}}},
        "examples": [{"$ref": "#/x"}],
        "const": {"$ref": "#/y"},
        "allOf": [True, {"$ref": "#/properties/b"}],
        "$ref": "other.json",
    }
    assert moved(schema, "#/components/schemas/t") == {
        "properties": {
            "$ref": {"$ref": "#/components/schemas/t/$defs/a"},
            "b": {"items": {"$ref": "#/components/schemas/t"}},
        },
        "examples": [{"$ref": "#/x"}],
        "const": {"$ref": "#/y"},
        "allOf": [True, {"$ref": "#/components/schemas/t/properties/b"}],
        "$ref": "other.json",
    }
