"""Reads a folder of schemas, one file an event type.

`<type>.avsc` is an Avro record, `<type>.json` a JSON Schema 2020-12 of the data. What JSON Schema
has an annotation for stands there (`title`, `description`, `deprecated`, `examples`); the rest is
under `x-hooklane`. In Avro it is `doc`, and the attribute `hooklane` of the record. An Avro
schema's earlier versions, `<type>.avsc.<n>`, keep what they wrote readable.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hooklane.schemas.avro_schema import AvroSchema, AvroSchemaError
from hooklane.schemas.cloudevents import attribute_fault
from hooklane.schemas.event_types import EventType, EventTypes, EventTypesError, SchemaKind
from hooklane.schemas.event_types_fault import json_path
from hooklane.schemas.event_types_json import json_judge

_EARLIER: Final = re.compile(r"[^.].*\.avsc\.[0-9]+")
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Facts(BaseModel):
    """What `x-hooklane` may hold."""

    model_config = _STRICT

    topics: list[str] = Field(default_factory=list)
    key: str | None = None
    replaced_by: str | None = None


class _Annotations(BaseModel):
    """JSON Schema's own annotations at the top; what else stands there is its own affair."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    title: str | None = None
    description: str | None = None
    deprecated: bool = False
    examples: list[Any] = Field(default_factory=list)
    facts: _Facts = Field(default_factory=_Facts, alias="x-hooklane")


class _AvroFacts(_Facts):
    title: str | None = None
    deprecated: bool = False
    examples: list[Any] = Field(default_factory=list)


class _AvroAnnotations(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    doc: str | None = None
    hooklane: _AvroFacts = Field(default_factory=_AvroFacts)


def read_event_types(folder: Path) -> EventTypes:
    """Every type that has a file in the folder; other files, and hidden ones, are left.

    Raises:
        EventTypesError: the folder or a file cannot be used; the text names the file and the place.
    """
    types, faults = judge_event_types(folder)
    if faults:
        raise faults[0]
    return types


def judge_event_types(folder: Path) -> tuple[EventTypes, list[EventTypesError]]:
    """The types that can be used, and for every other file why it cannot.

    Raises:
        EventTypesError: there is no such folder.
    """
    found: dict[str, tuple[Path, EventType]] = {}
    seen: dict[str, Path] = {}
    faults: list[EventTypesError] = []
    for path, suffix in _files(folder):
        name = path.name.removesuffix(suffix)
        if name in seen:
            faults.append(EventTypesError(f"{path}: {seen[name].name} is a schema of {name} too"))
            continue
        seen[name] = path
        try:
            found[name] = path, _read(path, name, _READERS[suffix])
        except EventTypesError as error:
            faults.append(error)
    faults += [
        EventTypesError(
            f"{path}: replaced_by names {one.replaced_by}, which has no file in the folder"
        )
        for path, one in found.values()
        if one.replaced_by is not None and one.replaced_by not in seen
    ]
    earlier = list(_earlier(folder, faults))
    return EventTypes({name: one for name, (_, one) in found.items()}, earlier), faults


def _earlier(folder: Path, faults: list[EventTypesError]) -> Iterator[AvroSchema]:
    for path in sorted(folder.iterdir()):
        if _EARLIER.fullmatch(path.name) and path.is_file():
            try:
                yield AvroSchema(_document(path))
            except AvroSchemaError as error:
                faults.append(EventTypesError(f"{path}: {error}"))
            except EventTypesError as error:
                faults.append(error)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The schema files with what their names end in. A mounted ConfigMap has hidden ones beside."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise EventTypesError(
            f"{folder} cannot be read as a folder of schemas: {error.strerror}"
        ) from error
    for path in paths:
        if not path.name.startswith(".") and path.suffix in _READERS and path.is_file():
            yield path, path.suffix


def _read(path: Path, name: str, reader: "Callable[[str, dict[str, Any]], EventType]") -> EventType:
    fault = attribute_fault("type", name)
    if fault is not None:
        raise EventTypesError(f"{path}: the file's name is no event type: {fault}")
    document = _document(path)
    try:
        return _with_good_examples(reader(name, document))
    except ValidationError as error:
        first = error.errors()[0]
        raise EventTypesError(f"{path}, {json_path(first['loc'])}: {first['msg']}") from error
    except EventTypesError as error:
        raise EventTypesError(f"{path}, {error}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise EventTypesError(f"{path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise EventTypesError(f"{path}, {place}: is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise EventTypesError(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise EventTypesError(f"{path}: is not a JSON object")
    return document


def _json_schema(name: str, document: dict[str, Any]) -> EventType:
    told = _Annotations.model_validate(document)
    return EventType(
        name=name,
        kind=SchemaKind.JSON_SCHEMA,
        schema=document,
        title=told.title,
        description=told.description,
        topics=tuple(told.facts.topics),
        key=told.facts.key,
        deprecated=told.deprecated,
        replaced_by=told.facts.replaced_by,
        examples=tuple(told.examples),
        _judge=json_judge(document),
    )


def _avro(name: str, document: dict[str, Any]) -> EventType:
    if document.get("type") != "record":
        raise EventTypesError("$.type: must be record: the record is the event's data")
    if not isinstance(document.get("fields"), list):
        raise EventTypesError("$.fields: must be a list")
    told = _AvroAnnotations.model_validate(document)
    try:
        schema = AvroSchema(document)
    except AvroSchemaError as error:
        raise EventTypesError(f"$: {error}") from error
    return EventType(
        name=name,
        kind=SchemaKind.AVRO,
        schema=document,
        title=told.hooklane.title,
        description=told.doc,
        topics=tuple(told.hooklane.topics),
        key=told.hooklane.key,
        deprecated=told.hooklane.deprecated,
        replaced_by=told.hooklane.replaced_by,
        examples=tuple(told.hooklane.examples),
        avro=schema,
        _judge=schema,
    )


_READERS: Final[Mapping[str, Callable[[str, dict[str, Any]], EventType]]] = {
    ".avsc": _avro,
    ".json": _json_schema,
}


def _with_good_examples(one: EventType) -> EventType:
    """The type, if its examples fit it: they are shown to receivers and sent as samples."""
    for place, fault in _example_faults(one):
        raise EventTypesError(f"example {place + 1}, {fault}")
    return one


def _example_faults(one: EventType) -> "Iterable[tuple[int, object]]":
    if one.can_judge:
        for place, example in enumerate(one.examples):
            for fault in one.faults(example):
                yield place, fault
