"""From an Avro schema to the JSON Schema (2020-12) of the data that receivers get for it. Pure."""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from hooklane.schemas.avro_values import form_of

JsonSchema: TypeAlias = dict[str, Any]

_AS_THEY_ARE: Final[Mapping[str, JsonSchema]] = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "string": {"type": "string"},
}
_PRIMITIVES: Final = frozenset({*_AS_THEY_ARE, "float", "double", "bytes"})
_NO_NUMBERS: Final = ("NaN", "Infinity", "-Infinity")
_DAY: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME: Final = "[0-9]{2}:[0-9]{2}:[0-9]{2}[.]"
_TEXT: Final = {"type": "string"}
_LONGEST_EXAMPLE: Final = 100
"""Bytes."""


class AvroSchemaError(ValueError):
    """No Avro schema. Its text says why."""


def json_schema(avro: object) -> JsonSchema:
    """The JSON Schema of an Avro schema, as it stands in an `.avsc` file (read, not as text).

    Named types are under `$defs`; the outermost record is the schema itself, and where it comes
    again in itself it is `#`.

    Raises:
        AvroSchemaError: it is not an Avro schema.
    """
    try:
        parsed = parse_schema(avro, named_schemas={})  # type: ignore[arg-type]
    except (SchemaParseException, UnknownType, TypeError, KeyError, AttributeError) as error:
        raise AvroSchemaError(str(error) or type(error).__name__) from error
    translation = _Translation(parsed)
    whole = translation.of_root()
    defs = translation.defs
    return {**whole, "$defs": defs} if defs else whole


class _Translation:
    def __init__(self, parsed: Any) -> None:
        self._parsed = parsed
        self._root = parsed.get("name") if isinstance(parsed, dict) else None
        self.defs: dict[str, JsonSchema] = {}

    def of_root(self) -> JsonSchema:
        if self._root is not None:
            return self._named(self._parsed)
        return self._of(self._parsed)

    def _of(self, avro: Any) -> JsonSchema:  # noqa: PLR0911 - a case each
        match avro:
            case list():
                return self._union(avro)
            case {"type": "array", "items": items}:
                return {"type": "array", "items": self._of(items)}
            case {"type": "map", "values": values}:
                return {"type": "object", "additionalProperties": self._of(values)}
            case {"name": str(name)}:
                self.defs.setdefault(name, {})  # before what is in it, which may name it
                self.defs[name] = self._named(avro)
                return self._reference(name)
            case {"type": (dict() | list()) as inner}:
                return self._of(inner)
            case {"type": str(name)}:
                return self._plain(name, avro)
            case _:
                return self._plain(avro, {"type": avro})

    def _union(self, branches: list[Any]) -> JsonSchema:
        translated = [self._of(branch) for branch in branches]
        return translated[0] if len(translated) == 1 else {"anyOf": translated}

    def _named(self, avro: Mapping[str, Any]) -> JsonSchema:
        about: JsonSchema = {"title": str(avro["name"]).rpartition(".")[2]}
        if avro.get("doc"):
            about["description"] = avro["doc"]
        match avro["type"]:
            case "enum":
                return {**about, "type": "string", "enum": list(avro["symbols"])}
            case "fixed":
                return {**about, **self._plain("fixed", avro)}
            case _:
                return {**about, **self._record(avro["fields"])}

    def _record(self, fields: list[Mapping[str, Any]]) -> JsonSchema:
        """All fields are required: what is decoded has every one, by its default if need be."""
        properties = {field["name"]: self._field(field) for field in fields}
        found: JsonSchema = {"type": "object", "properties": properties}
        if properties:
            found["required"] = list(properties)
        return found

    def _field(self, field: Mapping[str, Any]) -> JsonSchema:
        found = self._of(field["type"])
        return {**found, "description": field["doc"]} if field.get("doc") else found

    def _plain(self, name: str, avro: Mapping[str, Any]) -> JsonSchema:
        """A primitive type or a fixed, with or without a logical type; else a name."""
        if name not in _PRIMITIVES and name != "fixed":
            return self._reference(name)
        form = form_of(avro)
        if form is None:
            return dict(_AS_THEY_ARE[name])
        return _written(form.name, avro)

    def _reference(self, name: str) -> JsonSchema:
        return {"$ref": "#" if name == self._root else f"#/$defs/{name}"}


def _written(  # noqa: PLR0911 - a case each
    form: str, avro: Mapping[str, Any]
) -> JsonSchema:
    """What the forms of `schemas/avro_values` look like, by their names."""
    places = int(re.sub(r"[^0-9]", "", form) or 0)
    fraction = f"{0:0{places}d}" if places else ""
    digits = f"[0-9]{{{places}}}"
    match re.sub(r"[0-9]", "", form):
        case "base":  # base64
            return _base64(avro.get("size"))
        case "number":
            number = {"type": "number", "format": avro["type"]}
            return {"anyOf": [number, {"enum": list(_NO_NUMBERS)}]}
        case "decimal":
            return _decimal(avro["precision"], avro.get("scale", 0))
        case "date":
            return {**_TEXT, "format": "date"}
        case "timestampZ":
            example = f"2026-01-15T09:30:00.{fraction}Z"
            return {**_TEXT, "format": "date-time", "examples": [example]}
        case "timestamp":
            return _like(f"{_DAY}T{_TIME}{digits}", f"2026-01-15T09:30:00.{fraction}")
        case "time":
            return _like(f"{_TIME}{digits}", f"09:30:00.{fraction}")
        case "uuid" | "uuid-text":
            return {**_TEXT, "format": "uuid"}
        case "duration":
            return _like("P[0-9]+M[0-9]+DT[0-9]+[.][0-9]{3}S", "P0M1DT3600.000S")
        case _:
            return dict(_TEXT)


def _like(pattern: str, example: str) -> JsonSchema:
    return {**_TEXT, "pattern": f"^{pattern}$", "examples": [example]}


def _base64(size: int | None) -> JsonSchema:
    """Bytes, of a fixed size if it has one."""
    found: JsonSchema = {**_TEXT, "contentEncoding": "base64"}
    if size is None:
        return found
    example = b64encode(bytes(min(size, _LONGEST_EXAMPLE))).decode()
    length = (size + 2) // 3 * 4
    found |= {"minLength": length, "maxLength": length}
    return {**found, "examples": [example]} if len(example) == length else found


def _decimal(precision: int, scale: int) -> JsonSchema:
    fraction = f"[.][0-9]{{{scale}}}" if scale else ""
    whole = "12"[: precision - scale] or "0"
    example = f"{whole}.{'5'.ljust(scale, '0')}" if scale else whole
    return {**_like(f"-?[0-9]+{fraction}", example), "format": "decimal"}
