"""Reads event data that is Avro: by a registry's schemas, and by those of a folder.

Confluent's wire format: a zero byte, the schema's id in four bytes (big-endian), the datum. Without
a registry a zero byte means nothing. Single-object encoding: C3 01, the fingerprint, the datum;
without Avro schemas in a folder it means nothing either.
"""

from functools import partial
from typing import Final, assert_never

from hooklane.schemas.avro_schema import AvroDataError, AvroSchema
from hooklane.schemas.cloudevents_content_type import is_avro, is_json
from hooklane.schemas.decode_binary import ReadableData
from hooklane.schemas.event import NeedsSchema, Unreadable, UnreadableDataError
from hooklane.schemas.event_types import EventTypes
from hooklane.schemas.registry_schemas import KnownSchemas, Plain
from hooklane.schemas.single_object import HEADER, MARKER

_WIRE_HEADER: Final = 5


class AvroReader:
    """`types`: of a folder, `registry`: what is known of one; each may be missing.

    An event type with an Avro schema in the folder is read as that schema sees it, whichever
    schema wrote the data; any other one as its writer meant it.
    """

    def __init__(self, types: EventTypes | None, registry: KnownSchemas | None) -> None:
        self._types = types
        self._registry = registry
        self._reads_single_objects = types is not None and types.has_avro

    def recognise(
        self, value: bytes, content_type: str | None
    ) -> ReadableData | Unreadable | NeedsSchema | None:
        if self._registry is not None and value[:1] == b"\0":
            if content_type is None or is_avro(content_type) or is_json(content_type):
                return self._registered(value, self._registry)
            return None
        is_object = self._reads_single_objects and value[:2] == MARKER
        if is_object and (content_type is None or is_avro(content_type)):
            return self._single_object(value)
        return None

    def _registered(
        self, value: bytes, registry: KnownSchemas
    ) -> ReadableData | Unreadable | NeedsSchema:
        if len(value) < _WIRE_HEADER:
            return Unreadable("the value begins with a zero byte and is too short for a schema id")
        schema_id = int.from_bytes(value[1:_WIRE_HEADER], "big")
        known = registry.get(schema_id)
        match known:
            case None:
                return NeedsSchema(schema_id)
            case Unreadable():
                return known
            case Plain.JSON:
                return ReadableData(value[_WIRE_HEADER:])
            case AvroSchema():
                name = f"the registry's schema {schema_id}"
                return ReadableData(value, partial(self._read, known, name, value, _WIRE_HEADER))
            case _:
                assert_never(known)

    def _single_object(self, value: bytes) -> ReadableData | Unreadable:
        fingerprint = value[len(MARKER) : HEADER]
        writer = None if self._types is None else self._types.writer(fingerprint)
        if writer is None:
            return Unreadable(
                f"no Avro schema in HOOKLANE_EVENTS__SCHEMAS_DIR has the fingerprint "
                f"{fingerprint.hex()}"
            )
        name = f"the schema with the fingerprint {fingerprint.hex()}"
        return ReadableData(value, partial(self._read, writer, name, value, HEADER))

    def _read(
        self, writer: AvroSchema, name: str, value: bytes, start: int, event_type: str
    ) -> object:
        own = None if self._types is None else self._types.get(event_type)
        reader = None if own is None else own.avro
        try:
            return writer.decode(value, start, reader)
        except AvroDataError as error:
            seen = "" if reader is None else f", as the schema of {event_type} sees it"
            raise UnreadableDataError(f"the data does not fit {name}{seen}: {error}") from error
