"""The event envelope: what one Kafka record means, whichever way it was written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from pydantic_core import from_json

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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not an event, and why, in one sentence."""

    reason: str


Decoded: TypeAlias = Event | Unreadable
"""What a record turns out to be. Closed: match it with `assert_never`, so that a further case
(a schema registry that is down, hence "wait") shows every place that must know of it."""


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
