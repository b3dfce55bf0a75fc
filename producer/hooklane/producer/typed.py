"""An event's data by the schema of its type: judged before it is sent, and Avro where that is."""

import logging
from enum import StrEnum
from pathlib import Path

from pydantic_core import from_json

from hooklane.producer.data import Data, json_of, plain_data
from hooklane.producer.errors import ConfigurationError, InvalidEventError
from hooklane.producer.event import NewEvent
from hooklane.producer.registry import SchemaIds
from hooklane.schemas.avro_schema import AvroDataError, AvroSchema
from hooklane.schemas.cloudevents_content_type import essence, is_json
from hooklane.schemas.event_types import EventType, EventTypes, EventTypesError
from hooklane.schemas.single_object import MARKER

AVRO = "application/avro"
"""What CloudEvents' Kafka binding calls it in its example."""

WIRE_HEADER = 5
"""Bytes of Confluent's wire format before the datum: a zero, and the schema's id."""

_log = logging.getLogger("hooklane.producer")


class Validation(StrEnum):
    """What becomes of an event whose data does not fit the schema of its type."""

    OFF = "off"
    """It is published, and nobody has looked."""
    WARN = "warn"
    """It is published, and a warning logged."""
    REFUSE = "refuse"
    """It is an InvalidEventError."""


class Schemas:
    """Event types from a folder of `<type>.avsc` and `<type>.json`, and what they are used for.

    A type with an Avro schema is encoded as Avro unless its event says another content type:
    single-object encoding, or Confluent's wire format with a `registry`. Avro that does not fit
    cannot be written, whatever `validation` says. A type without a schema is as free as ever.

    Raises:
        ConfigurationError: the folder cannot be used, or what judges JSON is not installed.
    """

    def __init__(
        self,
        types: str | Path | EventTypes,
        *,
        validation: Validation | str = Validation.REFUSE,
        registry: SchemaIds | None = None,
    ) -> None:
        try:
            self._validation = Validation(validation)
        except ValueError as error:
            raise ConfigurationError(
                f"validation cannot be {validation!r}: choose off, warn or refuse"
            ) from error
        self._types = types if isinstance(types, EventTypes) else _read(Path(types))
        if self._validation is not Validation.OFF:
            _check_judges(self._types)
        self._registry = registry
        self._marked: dict[str, bytes] = {}

    def avro(self, name: str) -> AvroSchema | None:
        """The Avro schema of a type, where it has one."""
        event_type = self._types.get(name)
        return None if event_type is None else event_type.avro

    def ready(self, topic: str, event: NewEvent) -> bool:
        """Whether `data` can be asked without waiting for a registry."""
        if self._registry is None:
            return True
        event_type = self._avro_type(event)
        return event_type is None or self._registry.known(topic, event_type) is not None

    def prepare(self, topic: str, event: NewEvent) -> None:
        """Make it ready; may block.

        Raises:
            RegistryError: the registry does not say the schema's id.
        """
        event_type = self._avro_type(event)
        if self._registry is not None and event_type is not None:
            self._registry.schema_id(topic, event_type)

    def data(self, topic: str, event: NewEvent) -> Data | None:
        """None: the type has no schema.

        Raises:
            InvalidEventError: the data is not what the schema says; with the path of the fault.
            RegistryError: the registry does not say the schema's id.
        """
        event_type = self._types.get(event.type)
        if event_type is None:
            return None
        if event_type.avro is not None and _is_for_avro(event):
            datum = _datum(event, event_type.avro)
            return Data(AVRO, self._mark(topic, event_type) + datum, event.dataschema)
        data = plain_data(event)
        if self._validation is not Validation.OFF:
            self._judge(event_type, event, data)
        return data

    def _avro_type(self, event: NewEvent) -> EventType | None:
        event_type = self._types.get(event.type)
        has = event_type is not None and event_type.avro is not None and _is_for_avro(event)
        return event_type if has else None

    def _mark(self, topic: str, event_type: EventType) -> bytes:
        """What stands before the datum and says which schema wrote it."""
        if self._registry is not None:
            number = self._registry.known(topic, event_type)
            if number is None:
                number = self._registry.schema_id(topic, event_type)
            return b"\0" + number.to_bytes(4, "big")
        mark = self._marked.get(event_type.name)
        if mark is None:
            assert event_type.avro is not None  # noqa: S101 - asked for Avro alone
            mark = self._marked[event_type.name] = MARKER + event_type.avro.fingerprint
        return mark

    def _judge(self, event_type: EventType, event: NewEvent, data: Data) -> None:
        fault = _fault(event_type, data)
        if fault is None:
            return
        text = f"the data of event {event.id} is no {event.type}: {fault}"
        if self._validation is Validation.REFUSE:
            raise InvalidEventError(text)
        _log.warning("%s; it is published all the same", text)


def schemas_of(given: str | Path | EventTypes | Schemas | None) -> Schemas | None:
    """What a publisher was given, as it uses it."""
    return given if given is None or isinstance(given, Schemas) else Schemas(given)


def _read(folder: Path) -> EventTypes:
    # Here, since most publishers read none, and it takes pydantic's models: 40 ms.
    from hooklane.schemas.event_types_read import read_event_types  # noqa: PLC0415

    try:
        return read_event_types(folder)
    except EventTypesError as error:
        raise ConfigurationError(f"the schemas cannot be used: {error}") from error


def _check_judges(types: EventTypes) -> None:
    for one in types:
        if not one.can_judge:
            raise ConfigurationError(
                f"nothing here judges data by the JSON Schema of {one.name}: "
                "pip install 'hooklane[validation]', or turn the validation off"
            )


def _is_for_avro(event: NewEvent) -> bool:
    """Bytes are as their service made them."""
    said = event.content_type
    return not isinstance(event.data, bytes) and (said is None or essence(said) == AVRO)


def _datum(event: NewEvent, avro: AvroSchema) -> bytes:
    try:
        return avro.encode(from_json(json_of(event.id, event.data)))
    except AvroDataError as error:
        raise InvalidEventError(
            f"the data of event {event.id} is no {event.type}: {error}"
        ) from error


def _fault(event_type: EventType, data: Data) -> str | None:
    """Where it does not fit; only the first place."""
    if not is_json(data.content_type):
        if essence(data.content_type) == AVRO and event_type.avro is not None:
            return None
        return f"{data.content_type} is nothing that its schema can judge; say what it is"
    try:
        value = from_json(data.value, allow_inf_nan=False) if data.value else None
    except ValueError as error:
        return f"it is no JSON: {error}"
    faults = event_type.faults(value)
    return str(faults[0]) if faults else None
