"""From an event to a Kafka record: attributes, data, key, trace context. No I/O."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias, assert_never

from opentelemetry import propagate
from opentelemetry.context import get_current

from hooklane.producer.data import Data, plain_data
from hooklane.producer.errors import InvalidEventError
from hooklane.producer.event import NewEvent
from hooklane.schemas.cloudevents import CONTENT_TYPE, HEADER_PREFIX, MAX_VALUE, SPEC_VERSION
from hooklane.schemas.cloudevents_encode import (
    BadAttributeError,
    RecordHeaders,
    check_attributes,
    to_binary,
    to_structured,
)

KeyFunction: TypeAlias = Callable[[NewEvent], str | bytes | None]

_KNOWN = 1000
"""So many combinations of source, type and content type have been looked at once and for all."""


class Mode(StrEnum):
    """How the CloudEvent is written into the record."""

    BINARY = "binary"
    """Attributes in headers, the value is the data."""
    STRUCTURED = "structured"
    """The value is a JSON document of attributes and data."""


class OutgoingRecord(NamedTuple):
    """A Kafka record, ready to be sent."""

    topic: str
    key: bytes | None
    value: bytes
    headers: RecordHeaders
    event_id: str


class TypedData(Protocol):
    """Data by the schema of the event's type."""

    def ready(self, topic: str, event: NewEvent) -> bool:
        """Whether `data` answers without waiting."""

    def prepare(self, topic: str, event: NewEvent) -> None:
        """Make it ready; may block."""

    def data(self, topic: str, event: NewEvent) -> Data | None:
        """None: the type has no schema.

        Raises:
            InvalidEventError: the data is not what the schema says.
        """


def no_key(event: NewEvent) -> None:
    """The key function of events that have no order."""


class EventEncoder:
    """Makes records of events. `source` and `key` stand in where an event has none of its own."""

    def __init__(
        self,
        source: str | None = None,
        key: KeyFunction = no_key,
        mode: Mode = Mode.BINARY,
        typed: TypedData | None = None,
    ) -> None:
        self._source = source
        self._key = key
        self._mode = mode
        self._typed = typed
        self._known: dict[tuple[str | None, str, str], RecordHeaders] = {}

    def ready(self, topic: str, event: NewEvent) -> bool:
        """Whether `encode` does not wait for a schema registry."""
        return self._typed is None or self._typed.ready(topic, event)

    def prepare(self, topic: str, event: NewEvent) -> None:
        """Make it ready; may block.

        Raises:
            RegistryError: the registry does not say the id of the schema.
        """
        if self._typed is not None:
            self._typed.prepare(topic, event)

    def encode(self, topic: str, event: NewEvent) -> OutgoingRecord:
        """The record of `event`, with the trace context of the calling code.

        Raises:
            InvalidEventError: an attribute, a header or the data cannot be written.
            RegistryError: the registry does not say the id of the schema.
        """
        data = None if self._typed is None else self._typed.data(topic, event)
        if data is None:
            data = plain_data(event)
        match self._mode:
            case Mode.BINARY:
                headers, value = self._binary(event, data), data.value
            case Mode.STRUCTURED:
                attributes = self._attributes(event, data)
                headers, value = to_structured(attributes, data.content_type, data.value)
            case _:
                assert_never(self._mode)
        # An empty context has nothing to send along; to ask each propagator takes a microsecond.
        if event.headers or get_current():
            headers += _further_headers(event)
        key = event.key
        if key is None:
            key = self._key(event)
        return OutgoingRecord(
            topic, _bytes("key", key) if isinstance(key, str) else key, value, headers, event.id
        )

    def _binary(self, event: NewEvent, data: Data) -> RecordHeaders:
        """What `to_binary` gives of checked attributes, quicker for most events.

        Source, type and content type are the same for many events: they are checked and written
        once. Only where all else is plain can the rest be written without a check.
        """
        combination = (event.source, event.type, data.content_type)
        known = self._known.get(combination)
        event_id, subject = event.id, event.subject
        if (
            known is None
            or event.extensions
            or data.dataschema is not None
            or not _plain(event_id)
            or (subject is not None and not _plain(subject))
        ):
            attributes = self._attributes(event, data)
            if known is None:
                self._know(combination, attributes)
            return to_binary(attributes, data.content_type)
        version, source, type_, content_type = known
        named = ("ce_id", event_id.encode())
        timed = ("ce_time", _timestamp(event.time).encode())
        if subject is None:
            return [version, named, source, type_, timed, content_type]
        of = ("ce_subject", subject.encode())
        return [version, named, source, type_, timed, of, content_type]

    def _know(self, combination: tuple[str | None, str, str], checked: dict[str, str]) -> None:
        if len(self._known) >= _KNOWN:
            self._known.clear()
        same = {name: checked[name] for name in ("specversion", "source", "type")}
        self._known[combination] = to_binary(same, combination[2])

    def _attributes(self, event: NewEvent, data: Data) -> dict[str, str]:
        """All of them, checked."""
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
        if data.dataschema is not None:
            attributes["dataschema"] = data.dataschema
        for name, value in event.extensions.items():
            if name in attributes:
                raise InvalidEventError(f"{name} is no extension: it is a field of the event")
            attributes[name] = _text(value)
        try:
            check_attributes(attributes, data.content_type)
        except BadAttributeError as error:
            raise InvalidEventError(f"event {event.id} cannot be published: {error}") from error
        return attributes


def _plain(value: str) -> bool:
    """Whether it is good for an attribute without a rule of its own: a look that costs little."""
    return value.isascii() and value.isprintable() and 0 < len(value) <= MAX_VALUE


def _text(value: str | int | bool) -> str:
    """The canonical text of an attribute's value (CloudEvents 1.0, "Type System")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# The last second that was written, and how: of thousands of events each second only the fraction
# differs, and to write a datetime takes twice as long.
_second: tuple[tuple[int, ...], str] = ((), "")


def _timestamp(time: datetime) -> str:
    """RFC 3339, in UTC."""
    global _second  # noqa: PLW0603 - one of many threads' words, taken and left as a whole
    if time.tzinfo is not UTC:
        if time.tzinfo is None:
            raise InvalidEventError(f"the time {time} has no time zone: give an aware datetime")
        time = time.astimezone(UTC)
    second, written = _second
    this = (time.year, time.month, time.day, time.hour, time.minute, time.second)
    if this != second:
        written = time.isoformat(timespec="seconds")[:-6]
        _second = (this, written)
    return f"{written}.{time.microsecond:06}Z"


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
