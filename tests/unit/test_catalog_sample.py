"""Samples from JSON Schemas: valid, the same every time, or a sentence."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.catalog_fields import MOST, fields
from hooklane.ops.catalog_sample import NoSampleError, sample

TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "parent": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        "children": {"type": "array", "items": {"$ref": "#"}},
        "friend": {"$ref": "#"},
    },
    "required": ["name", "parent", "children"],
}


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        (True, "text"),
        ({}, "text"),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "string", "examples": ["e"], "default": "d"}, "e"),
        ({"type": "integer", "default": 3}, 3),
        ({"type": "integer"}, 12),
        ({"type": "integer", "minimum": 18}, 18),
        ({"type": "integer", "exclusiveMinimum": 18, "multipleOf": 5}, 20),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number"}, 12.5),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, 0.0),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "string", "format": "date-time"}, "2026-01-15T09:30:00Z"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "EUR"),
        ({"items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
        ({"properties": {"a": {"type": "boolean"}}, "required": ["b"]}, {"a": True, "b": "b"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"example": 12}),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"anyOf": [False, {"const": 2}]}, 2),
        (
            {"type": "object", "properties": {"a": {"const": 1}}, "oneOf": [{"required": ["b"]}]},
            {"a": 1, "b": "b"},
        ),
        (
            {
                "allOf": [{"$ref": "#/$defs/x~1y"}, {"properties": {"b": {"const": 2}}}],
                "$defs": {"x/y": {"properties": {"a": {"const": 1}}, "required": ["a"]}},
            },
            {"a": 1, "b": 2},
        ),
        (TREE, {"name": "name", "parent": None, "children": []}),
    ],
)
def test_what_is_made(schema: object, made: object) -> None:
    """One value for each, and it is valid."""
    assert sample(schema) == made
    jsonschema.Draft202012Validator(schema).validate(sample(schema))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "nothing is valid"),
        ({"properties": {"a": False}, "required": ["a"]}, "nothing is valid for a"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "# holds itself without an end"),
        ({"$ref": "#/$defs/a"}, "#/$defs/a leads nowhere"),
        ({"$ref": "b.json"}, "b.json is not a place in the same schema"),
        ({"type": "string", "pattern": "^[!]{9}$"}, "nothing that is like"),
        ({"type": "string", "pattern": "("}, "the pattern of text cannot be read"),
        ({"type": "string", "minLength": 10**9}, "more than 10000 characters"),
        ({"type": "array", "minItems": 10**9}, "more than 10000 items"),
    ],
)
def test_what_cannot_be_made_is_said(schema: object, said: str) -> None:
    """In a sentence, and soon."""
    with pytest.raises(NoSampleError, match=None) as caught:
        sample(schema)
    assert said in str(caught.value)


def doubling(levels: int) -> dict[str, Any]:
    """Each type uses the next one twice: two to the power of `levels` values."""
    defs: dict[str, Any] = {
        f"t{level}": {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/t{level + 1}"} for name in "ab"},
            "required": ["a", "b"],
        }
        for level in range(levels)
    }
    return {"$ref": "#/$defs/t0", "$defs": {**defs, f"t{levels}": {"type": "boolean"}}}


def test_a_schema_that_doubles_and_doubles_is_given_up() -> None:
    """Soon, with a sentence; its fields are cut, not counted out."""
    with pytest.raises(NoSampleError, match="more than 10000 values"):
        sample(doubling(60))
    assert len(fields(doubling(60))) == MOST
    assert len(fields(doubling(3))) == 2 + 4 + 8


def bounded(low: int, width: int, step: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": low + width * step, "multipleOf": step}


SCHEMAS = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "boolean"},
            {"type": ["null", "number"]},
            {"enum": ["a", 1, None]},
            {"type": "string", "format": "uuid"},
            {"type": "string", "minLength": 3, "maxLength": 9},
        ]
    )
    | st.builds(bounded, st.integers(-100, 100), st.integers(1, 9), st.integers(1, 9)),
    lambda inner: st.one_of(
        st.builds(
            lambda properties, required: {
                "type": "object",
                "properties": properties,
                "required": sorted(required),
            },
            st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
            st.sets(st.sampled_from("abcd"), max_size=2),
        ),
        st.builds(lambda one: {"type": "object", "additionalProperties": one}, inner),
        st.builds(lambda one, n: {"type": "array", "items": one, "minItems": n}, inner, st.just(2)),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"$defs": {"d": True}, "allOf": [one]}, inner),
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_a_sample_fits_its_schema(schema: dict[str, Any]) -> None:
    """Whatever is put together of what is looked at has a valid sample, the same each time."""
    made = sample(schema)
    assert [one.message for one in jsonschema.Draft202012Validator(schema).iter_errors(made)] == []
    assert sample(schema) == made
