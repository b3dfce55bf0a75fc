"""One Avro schema: data to JSON values and back, by fastavro.

The schema's copy that fastavro works with names a form of `avro_values` at each place that is not
JSON as it stands, so that one pass gives JSON values: `12.50` and not `Decimal`, also inside
unions, where nothing but the branch that was written tells what a value is.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import fastavro
from fastavro import _read_py as plain_fastavro

from hooklane.schemas.avro_defaults import json_default
from hooklane.schemas.avro_hazards import has_empty_items, is_recursive
from hooklane.schemas.avro_judge import AvroJudge
from hooklane.schemas.avro_values import FORMS, Form, form_of
from hooklane.schemas.event_types_fault import Fault
from hooklane.schemas.single_object import MARKER, fingerprint

_TAG: Final = "hooklane."
_DEFAULT: Final = f"{_TAG}default"
_MARKS: Final = frozenset(("__fastavro_parsed", "__named_schemas"))


class AvroSchemaError(ValueError):
    """A schema that cannot be read, in a few words."""


class AvroDataError(ValueError):
    """Data that does not fit its schema, in a few words."""


class AvroSchema:
    """`source` is the schema as JSON values; `references` are schemas whose names it uses, each
    after those that it uses itself.

    Raises:
        AvroSchemaError: one of them cannot be read.
    """

    def __init__(self, source: object, references: Sequence[object] = ()) -> None:
        names: dict[str, Any] = {}
        tagged_names: dict[str, Any] = {}
        try:
            for one in references:
                _tagged(_parsed(one, names), names, tagged_names)
            self.parsed = _parsed(source, names)
            if any(has_empty_items(one, names) for one in (self.parsed, *names.values())):
                raise AvroSchemaError("a list's items take no bytes: a datum could have any number")  # noqa: TRY301
            # A datum of a record with one field is the field's: so every schema is a record's.
            self._bare = not (isinstance(self.parsed, dict) and self.parsed["type"] == "record")
            inner = _tag(self.parsed, names)
            self._working = _with_defaults(_box(inner) if self._bare else inner, tagged_names)
        except AvroSchemaError:
            raise
        except Exception as error:  # whatever a schema's text makes of fastavro
            raise AvroSchemaError(f"{type(error).__name__}: {error}"[:300]) from error
        self._judge = AvroJudge(self.parsed, names)
        # The compiled reader has no guard against a datum of a million levels; Python's own has.
        module = plain_fastavro if is_recursive(names) else fastavro
        self._reader: Callable[..., Any] = module.schemaless_reader

    @property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, as single-object encoding has it: 8 bytes."""
        return fingerprint(self.parsed)

    def faults(self, data: object) -> tuple[Fault, ...]:
        """Where JSON values do not fit."""
        return self._judge.faults(data)

    def decode(self, datum: bytes, start: int = 0, reader: "AvroSchema | None" = None) -> object:
        """JSON values of what this schema wrote from `start` on, as `reader` sees it.

        Raises:
            AvroDataError: the bytes do not fit, or the schemas do not fit each other.
        """
        stream = io.BytesIO(datum)
        stream.seek(start)
        other = None if reader is None or reader is self else reader._working  # noqa: SLF001
        try:
            found = self._reader(stream, self._working, other)
        except Exception as error:  # fastavro has no class for bytes that do not fit
            raise AvroDataError(_said(error)) from error
        if stream.tell() != len(datum):
            raise AvroDataError(f"{len(datum) - stream.tell()} bytes after the datum's end")
        if other is not None:
            found = _without_bytes(found)
        return found["value"] if self._bare else found

    def encode(self, data: object) -> bytes:
        """The datum of these JSON values.

        Raises:
            AvroDataError: they do not fit; the text names the place.
        """
        faults = self.faults(data)
        if faults:
            raise AvroDataError(str(faults[0]))
        out = io.BytesIO()
        datum = {"value": data} if self._bare else data
        try:
            fastavro.schemaless_writer(out, self._working, datum, disable_tuple_notation=True)
        except Exception as error:  # a value that passed and yet cannot be written
            raise AvroDataError(_said(error)) from error
        return out.getvalue()

    def encode_single_object(self, data: object) -> bytes:
        """The same with the two marker bytes and the fingerprint before it."""
        return MARKER + self.fingerprint + self.encode(data)


def _parsed(source: object, names: dict[str, Any]) -> Any:
    return fastavro.parse_schema(source, names)  # type: ignore[arg-type]  # it judges that itself


def _tagged(parsed: Any, names: Mapping[str, Any], into: dict[str, Any]) -> None:
    _with_defaults(_tag(parsed, names), into)


def _box(inner: object) -> dict[str, object]:
    return {
        "type": "record",
        "name": f"{_TAG}Datum",
        "fields": [{"name": "value", "type": inner}],
    }


def _tag(schema: Any, names: Mapping[str, Any]) -> Any:
    """A copy that names the forms, and has each field's default aside as JSON values."""
    match schema:
        case str():
            form = form_of({"type": schema})
            return schema if form is None else _named({"type": schema}, form)
        case list():
            return [_tag(one, names) for one in schema]
        case _:
            copy = {name: value for name, value in schema.items() if name not in _MARKS}
            copy.pop("logicalType", None)
            for inner in ("items", "values"):
                if inner in copy:
                    copy[inner] = _tag(copy[inner], names)
            if copy["type"] == "record":
                copy["fields"] = [_tag_field(field, names) for field in copy["fields"]]
            form = form_of(schema)
            return copy if form is None else _named(copy, form)


def _tag_field(field: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    copy = {**field, "type": _tag(field["type"], names)}
    if "default" in copy:
        copy[_DEFAULT] = json_default(field["type"], copy.pop("default"), names)
    return copy


def _named(schema: dict[str, Any], form: Form) -> dict[str, Any]:
    return {**schema, "logicalType": _TAG + form.name}


def _with_defaults(tagged: Any, names: dict[str, Any]) -> Any:
    """Parsed; the defaults come in afterwards, since fastavro would judge them by the bare type."""
    parsed = _parsed(tagged, names)
    for schema in names.values():
        for field in schema.get("fields", ()):
            if _DEFAULT in field:
                field["default"] = field.pop(_DEFAULT)
    return parsed


def _without_bytes(value: Any) -> Any:
    """Text that a newer schema takes for bytes comes as bytes, past the forms."""
    match value:
        case bytes():
            return FORMS[0][1].read(value, {})
        case list():
            return [_without_bytes(one) for one in value]
        case dict():
            return {name: _without_bytes(one) for name, one in value.items()}
        case _:
            return value


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _reading(form: Form) -> Callable[[Any, Any, Any], object]:
    def read(raw: Any, writer: Any, reader: Any = None) -> object:
        if isinstance(raw, bytes) and reader is not None and _kind(reader) == "string":
            return raw.decode()
        return form.read(raw, writer)

    return read


def _writing(form: Form) -> Callable[[Any, Any], object]:
    def write(value: Any, schema: Any) -> object:
        """What does not fit stays as it is: it may be another branch of a union's."""
        try:
            return form.write(value, schema)
        except (ValueError, OverflowError):
            return value

    return write


def _kind(schema: Any) -> object:
    return schema.get("type") if isinstance(schema, dict) else schema


for _type, _form in FORMS:
    # Names of our own, so that nothing changes for others who use fastavro in this process.
    fastavro.read.LOGICAL_READERS[f"{_type}-{_TAG}{_form.name}"] = _reading(_form)
    fastavro.write.LOGICAL_WRITERS[f"{_type}-{_TAG}{_form.name}"] = _writing(_form)
