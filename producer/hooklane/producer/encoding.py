"""From an event to a Kafka record: attributes, data, key, trace context. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias, assert_never

from opentelemetry import propagate
from pydantic_core import from_json, to_json

from hooklane.producer.errors import InvalidEventError
from hooklane.producer.event import NewEvent
from hooklane.schemas.cloudevents import CONTENT_TYPE, HEADER_PREFIX, SPEC_VERSION
from hooklane.schemas.cloudevents_content_type import BYTES, JSON, is_json
from hooklane.schemas.cloudevents_encode import (
    BadAttributeError,
    RecordHeaders,
    check_attributes,
    to_binary,
    to_structured,
)

KeyFunction: TypeAlias = Callable[[NewEvent], str | bytes | None]


class Mode(StrEnum):
    """How the CloudEvent is written into the record."""

    BINARY = "binary"
    """Attributes in headers, the value is the data."""
    STRUCTURED = "structured"
    """The value is a JSON document of attributes and data."""


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A Kafka record, ready to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: RecordHeaders
    event_id: str


def no_key(event: NewEvent) -> None:
    """The key function of events that have no order."""


class EventEncoder:
    """Makes records of events. `source` and `key` stand in where an event has none of its own."""

    def __init__(
        self, source: str | None = None, key: KeyFunction = no_key, mode: Mode = Mode.BINARY
    ) -> None:
        self._source = source
        self._key = key
        self._mode = mode

    def encode(self, topic: str, event: NewEvent) -> OutgoingRecord:
        """The record of `event`, with the trace context of the calling code.

        Raises:
            InvalidEventError: an attribute, a header or the data cannot be written.
        """
        content_type = _content_type(event)
        data = _data(event, content_type)
        attributes = self._attributes(event)
        try:
            check_attributes(attributes, content_type)
        except BadAttributeError as error:
            raise InvalidEventError(f"event {event.id} cannot be published: {error}") from error
        match self._mode:
            case Mode.BINARY:
                headers, value = to_binary(attributes, content_type), data
            case Mode.STRUCTURED:
                headers, value = to_structured(attributes, content_type, data)
            case _:
                assert_never(self._mode)
        headers += _further_headers(event)
        key = event.key if event.key is not None else self._key(event)
        key_bytes = _bytes("key", key) if isinstance(key, str) else key
        return OutgoingRecord(topic, key_bytes, value, headers, event.id)

    def _attributes(self, event: NewEvent) -> dict[str, str]:
        source = event.source or self._source
        if source is None:
            raise InvalidEventError(
                f"event {event.id} has no source: give it one, or give the publisher one"
            )
        attributes = {
            "specversion": SPEC_VERSION,
            "id": event.id,
            "source": source,
            "type": event.type,
            "time": _timestamp(event.time),
        }
        if event.subject is not None:
            attributes["subject"] = event.subject
        if event.dataschema is not None:
            attributes["dataschema"] = event.dataschema
        for name, value in event.extensions.items():
            if name in attributes:
                raise InvalidEventError(f"{name} is no extension: it is a field of the event")
            attributes[name] = _text(value)
        return attributes


def _text(value: str | int | bool) -> str:
    """The canonical text of an attribute's value (CloudEvents 1.0, "Type System")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _timestamp(time: datetime) -> str:
    if time.tzinfo is None:
        raise InvalidEventError(f"the time {time} has no time zone: give an aware datetime")
    return f"{time.astimezone(UTC).isoformat()[:-6]}Z"


def _content_type(event: NewEvent) -> str:
    if event.content_type is not None:
        return event.content_type
    return BYTES if isinstance(event.data, bytes) else JSON


def _data(event: NewEvent, content_type: str) -> bytes:
    data = event.data
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    if is_json(content_type):
        return _json(event.id, data)
    if isinstance(data, str):
        return _bytes("data", data)
    raise InvalidEventError(
        f"the data of event {event.id} is no {content_type}: "
        "give bytes or text, or a content type that is JSON"
    )


def _json(event_id: str, data: object) -> bytes:
    try:
        text = to_json(data)
        # pydantic writes NaN and the infinities as JavaScript does; only then is a second look due.
        if b"NaN" in text or b"Infinity" in text:
            from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidEventError(f"the data of event {event_id} is no JSON: {error}") from error
    return text


def _further_headers(event: NewEvent) -> RecordHeaders:
    headers = [(name, _header(name, value)) for name, value in event.headers.items()]
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    headers += [
        (name, value.encode()) for name, value in carrier.items() if name not in event.headers
    ]
    return headers


def _header(name: str, value: str | bytes) -> bytes:
    if name.startswith(HEADER_PREFIX) or name == CONTENT_TYPE:
        raise InvalidEventError(f"the header {name} is made from the event's own fields")
    return _bytes(f"header {name}", value) if isinstance(value, str) else value


def _bytes(what: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEventError(f"the {what} has a lone surrogate, which is no text") from error
