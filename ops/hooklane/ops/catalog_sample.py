"""Sample data made from a JSON Schema (2020-12): always the same for the same schema. Pure.

What cannot be found by looking at one keyword after the other (a pattern, `not`, `if`) is not
searched for: such a type has to bring an example of its own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hooklane.ops.catalog_pointer import BadReferenceError, resolved

_BY_FORMAT: Final[Mapping[str, str]] = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "duration": "PT15M",
    "email": "ada@example.com",
    "hostname": "www.example.com",
    "idn-email": "ada@example.com",
    "idn-hostname": "www.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "iri": "https://www.example.com/",
    "iri-reference": "/example",
    "json-pointer": "/example",
    "regex": "^example$",
    "relative-json-pointer": "0",
    "time": "09:30:00Z",
    "uri": "https://www.example.com/",
    "uri-reference": "/example",
    "uri-template": "/example/{id}",
    "uuid": "3f2a8c1e-5b7d-4e9f-8a6b-1c2d3e4f5a6b",
}
_PLAUSIBLE: Final = ("1", "12", "12.50", "EUR", "eur", "A1", "a1", "12345", "example", "INV-1")
_INSTEAD: Final = ("type", "properties", "items", "prefixItems", "additionalProperties")
_DEEPEST: Final = 100
"""Schemas within one another that are taken for an end."""
_TOO_LONG: Final = 10_000
"""Values, or of an array's or a text's least length: no sample that anybody reads."""


class NoSampleError(Exception):
    """No sample could be made. Its text says of what; add an example to the schema."""


def sample(schema: object) -> Any:
    """Data as the schema has it.

    It is made to be valid, but keywords that are not looked at may say otherwise: judge it.

    Raises:
        NoSampleError: nothing can be made, such as for something that has to hold itself.
    """
    try:
        return _Maker(schema).make(schema, "text", ("#",))
    except BadReferenceError as error:
        raise NoSampleError(str(error)) from error


class _Maker:
    def __init__(self, root: object) -> None:
        self._root = root
        self._left = _TOO_LONG

    def make(self, schema: object, name: str, open_refs: tuple[str, ...]) -> Any:
        """`name`: the property's, which is the text of a text. `open_refs`: what is being made."""
        self._left -= 1
        if self._left < 0:
            raise NoSampleError(f"a sample has more than {_TOO_LONG} values")
        if schema is False:
            raise NoSampleError(f"nothing is valid for {name}")
        if not isinstance(schema, Mapping):
            return name
        reference = schema.get("$ref")
        if isinstance(reference, str):
            if reference in open_refs:
                raise NoSampleError(f"{reference} holds itself without an end")
            target = resolved(self._root, reference)
            beside = {word: value for word, value in schema.items() if word != "$ref"}
            merged = _merged(target, beside) if isinstance(target, Mapping) else target
            return self.make(merged, name, (*open_refs, reference))
        for given in _given(schema):
            return given
        if schema.get("allOf"):
            return self._all_of(schema, name, open_refs)
        for choices in ("anyOf", "oneOf"):
            if schema.get(choices):
                return self._first_of(schema, choices, name, open_refs)
        return self._by_type(schema, name, open_refs)

    def _all_of(self, schema: Mapping[str, Any], name: str, open_refs: tuple[str, ...]) -> Any:
        if len(open_refs) > _DEEPEST:
            raise NoSampleError(f"{name} holds itself without an end")
        one, *others = schema["allOf"]
        rest = {word: value for word, value in schema.items() if word != "allOf"}
        if others:
            rest["allOf"] = others
        merged = _merged(rest, self._without_ref(one))
        return self.make(False if one is False else merged, name, (*open_refs, "allOf"))

    def _without_ref(self, part: object) -> object:
        if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
            return resolved(self._root, part["$ref"])
        return part

    def _first_of(
        self, schema: Mapping[str, Any], choices: str, name: str, open_refs: tuple[str, ...]
    ) -> Any:
        base = {word: value for word, value in schema.items() if word != choices}
        own = {word: base[word] for word in _INSTEAD if word in base}
        trouble = NoSampleError(f"nothing is valid for {name}")
        # A null says less than what could stand there.
        for branch in sorted(schema[choices], key=lambda one: one == {"type": "null"}):
            merged = branch if not own else _merged(base, self._without_ref(branch))
            try:
                return self.make(merged, name, open_refs)
            except NoSampleError as error:
                trouble = error
        raise trouble

    def _by_type(  # noqa: PLR0911 - a case each
        self, schema: Mapping[str, Any], name: str, open_refs: tuple[str, ...]
    ) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, open_refs)
            case "array":
                return self._array(schema, name, open_refs)
            case "boolean":
                return True
            case "null":
                return None
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case _:
                return _text(schema, name)

    def _object(self, schema: Mapping[str, Any], open_refs: tuple[str, ...]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        required = set(schema.get("required", ()))
        properties = schema.get("properties", {})
        for name, inner in properties.items():
            try:
                made[name] = self.make(inner, name, open_refs)
            except NoSampleError:
                if name in required:
                    raise
        others = schema.get("additionalProperties", True)
        for name in sorted(required - properties.keys()):
            made[name] = self.make(others, name, open_refs)
        if not properties and isinstance(others, Mapping):
            made.setdefault("example", self.make(others, "example", open_refs))
        return made

    def _array(self, schema: Mapping[str, Any], name: str, open_refs: tuple[str, ...]) -> list[Any]:
        least = int(schema.get("minItems", 0))
        if least > _TOO_LONG:
            raise NoSampleError(f"{name} has more than {_TOO_LONG} items")
        first = schema.get("prefixItems", [])
        made = [self.make(one, name, open_refs) for one in first]
        items = schema.get("items", True)
        wanted = max(least, 0 if "maxItems" in schema and schema["maxItems"] < 1 else 1)
        if items is False or len(made) >= wanted:
            return made
        try:
            one = self.make(items, name, open_refs)
        except NoSampleError:
            if least > len(made):
                raise
            return made
        return made + [one] * (wanted - len(made))


def _given(schema: Mapping[str, Any]) -> Iterator[Any]:
    """What the schema itself says, if it says one."""
    if "const" in schema:
        yield schema["const"]
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        yield examples[0]
    if schema.get("enum"):
        yield schema["enum"][0]
    if "default" in schema:
        yield schema["default"]


def _merged(base: object, more: object) -> dict[str, Any]:
    """Both at once, as far as one can put them together word by word."""
    if not isinstance(base, Mapping):
        base = {}
    if not isinstance(more, Mapping):
        return dict(base)
    found = {**base, **more}
    if "properties" in base and "properties" in more:
        found["properties"] = {**base["properties"], **more["properties"]}
    if "required" in base and "required" in more:
        found["required"] = [*base["required"], *more["required"]]
    if "allOf" in base and "allOf" in more:
        found["allOf"] = [*base["allOf"], *more["allOf"]]
    return found


def _type_of(schema: Mapping[str, Any]) -> str:
    said = schema.get("type")
    if isinstance(said, list) and said:
        return str(next((one for one in said if one != "null"), "null"))
    if isinstance(said, str):
        return said
    if any(word in schema for word in ("properties", "required", "additionalProperties")):
        return "object"
    if any(word in schema for word in ("items", "prefixItems", "minItems")):
        return "array"
    if any(word in schema for word in ("minimum", "maximum", "multipleOf", "exclusiveMinimum")):
        return "number"
    return "string"


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """Of what is near the bounds, the first that is within them."""
    step = schema.get("multipleOf", 1 if whole else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100 * step))
    first = 12 if whole else 12.5
    up = -(-low // step) * step
    candidates = (first, up, up + step, high, high - step, low)
    for one in candidates:
        value = int(one) if whole else one
        if _within(value, schema):
            return value
    return int(up) if whole else up


def _within(value: float, schema: Mapping[str, Any]) -> bool:
    step = schema.get("multipleOf")
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
        and (step is None or value % step == 0)
    )


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    if "pattern" in schema:
        return _by_pattern(str(schema["pattern"]), name)
    if schema.get("contentEncoding") == "base64":
        return "aGVsbG8="
    least = int(schema.get("minLength", 0))
    if least > _TOO_LONG:
        raise NoSampleError(f"{name} has more than {_TOO_LONG} characters")
    return name.ljust(least, "x")[: schema.get("maxLength", max(len(name), least))]


def _by_pattern(pattern: str, name: str) -> str:
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise NoSampleError(f"the pattern of {name} cannot be read: {error}") from error
    for one in (name, name.upper(), *_PLAUSIBLE):
        if wanted.search(one):
            return one
    raise NoSampleError(f"nothing that is like {pattern} was found for {name}")
