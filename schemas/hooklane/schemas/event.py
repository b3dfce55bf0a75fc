"""The event envelope: what one Kafka record means, whichever way it was written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from pydantic_core import from_json, to_json

from hooklane.schemas.cloudevents_content_type import JSON

NOT_JSON: Final = object()
"""What `Event.document()` returns when the data cannot be read as JSON."""

_UNREAD: Final = object()


class SourceRecord(NamedTuple):
    """One record of an event topic, exactly as Kafka gave it.

    `topic_id` is the topic's UUID in hex, `timestamp_ms` milliseconds since the epoch (-1 where
    the record has none). Header values may be null in Kafka.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class UnreadableDataError(ValueError):
    """Data that cannot be read by its schema; the text is a sentence's end that says why."""


class Encoding:
    """Reads data that is not JSON as it stands, once; `fault` is why that did not work."""

    __slots__ = ("_read", "fault")

    def __init__(self, read: Callable[[], object]) -> None:
        """`read` gives JSON values, or raises UnreadableDataError."""
        self._read = read
        self.fault: str | None = None

    def __call__(self) -> object:
        try:
            return self._read()
        except UnreadableDataError as error:
            self.fault = str(error)
            return NOT_JSON


@dataclass(slots=True)
class Event:
    """One event: CloudEvents context attributes, data, and where it stands in Kafka.

    `attributes` holds the CloudEvents context attributes by their names, as strings, without
    `datacontenttype` (that is `content_type`) and without `partitionkey` (that is `key`);
    `specversion`, `id`, `source` and `type` are always there. `traceparent` and `tracestate` are
    the publisher's (W3C Trace Context), from record headers or the CloudEvents extension.
    `dropped` counts the attributes that were bad and are left out; it is not put on any topic.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    attributes: Mapping[str, str]
    content_type: str
    data: bytes
    traceparent: str | None = None
    tracestate: str | None = None
    dropped: int = field(default=0, compare=False)
    _read: Callable[[], object] | None = field(default=None, init=False, repr=False, compare=False)
    _document: object = field(default=_UNREAD, init=False, repr=False, compare=False)

    def document(self) -> object:
        """The data as JSON values, or NOT_JSON. Read at most once, and only if asked for."""
        if self._document is _UNREAD:
            self._document = read_json(self.data) if self._read is None else self._read()
        return self._document

    def read_by(self, read: Callable[[], object]) -> None:
        """Let `read` make the document, where the data is not JSON as it stands or known already.

        It is called at most once, gives JSON values or NOT_JSON, and does not raise.
        """
        self._read = read

    @property
    def is_encoded(self) -> bool:
        """Whether the data still has to become the JSON that `content_type` says."""
        return type(self._read) is Encoding

    @property
    def unreadable(self) -> "Unreadable | None":
        """Why the data could not be read, if somebody has tried to in vain."""
        encoding = self._read
        if type(encoding) is not Encoding or encoding.fault is None:
            return None
        return Unreadable(encoding.fault)

    def become_json(self) -> None:
        """Make the encoded data the JSON text that receivers get. Nothing happens to other data,
        nor to data that cannot be read: `unreadable` says so then."""
        if type(self._read) is Encoding and self.document() is not NOT_JSON:
            self.data = to_json(self._document)
            self.content_type = JSON
            self._read = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not an event, and why, in one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeedsSchema:
    """A record that cannot be read before the registry's schema of this id is known."""

    schema_id: int


Told: TypeAlias = Event | Unreadable
"""What a record turns out to be once everything about it is known."""

Decoded: TypeAlias = Told | NeedsSchema
"""What a record turns out to be. Closed: match it with `assert_never`. The last one comes only
where a registry is read."""


def read_json(data: bytes) -> object:
    """JSON text (RFC 8259, UTF-8, at most 200 levels deep) as Python values, or NOT_JSON.

    pydantic's reader and not orjson, which publishing services do not install, nor the standard
    library's, which takes NaN and lone surrogates and whose depth limit is the caller's stack.
    Of duplicate names the last one counts; whole numbers are exact, whatever their size.
    """
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError:
        return NOT_JSON
