"""The event envelope: what one Kafka record means, whichever way it was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

NOT_JSON: Final = object()
"""What `Event.document()` returns when the data cannot be read as JSON."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of an event topic, exactly as Kafka gave it.

    `topic_id` is the topic's UUID in hex, `timestamp_ms` milliseconds since the epoch.
    Header values may be null in Kafka.
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
    _document: object = field(default=None, init=False, repr=False, compare=False)
    _read: bool = field(default=False, init=False, repr=False, compare=False)

    def document(self) -> object:
        """The data as JSON values, or NOT_JSON. Read at most once, and only if asked for."""
        if not self._read:
            try:
                self._document = orjson.loads(self.data)
            except orjson.JSONDecodeError:
                self._document = NOT_JSON
            self._read = True
        return self._document


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is not an event, and why, in one sentence."""

    reason: str
