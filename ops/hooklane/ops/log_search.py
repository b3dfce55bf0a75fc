"""Reads only what is wanted of a log: a record is judged by its bytes before it is made into more.

for record in searched(reader, spans, lambda message: message.key() == key):
    ...
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, cast

from confluent_kafka import Message

from hooklane.ops.log_reader import LogReader, Spans
from hooklane.schemas.event import SourceRecord

Keep: TypeAlias = Callable[[Message], bool]
"""Whether a record is wanted: what is not costs half as much."""
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


class FullRecord(NamedTuple):
    """A record with its headers. `timestamp_ms`: milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def source(self, topic_id: str) -> SourceRecord:
        """As the fan-out takes it in."""
        return SourceRecord(
            self.topic,
            topic_id,
            self.partition,
            self.offset,
            self.timestamp_ms,
            self.key,
            self.value,
            self.headers,
        )


def searched(reader: LogReader, spans: Spans, keep: Keep) -> Iterator[FullRecord]:
    """The records of these spans that are wanted; in order within each partition."""

    def made(message: Message) -> FullRecord | None:
        return full_record(message) if keep(message) else None

    for record in reader.read_as(made, spans):
        if record is not None:
            yield record


def headers_of(message: Message) -> Headers:
    """A record's headers in their order."""
    # Always pairs; confluent-kafka's types also name the mapping that `produce` takes.
    return tuple(cast("list[tuple[str, bytes | None]]", message.headers() or ()))


def full_record(message: Message) -> FullRecord:
    """What the message holds."""
    return FullRecord(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        message.key(),
        message.value(),
        headers_of(message),
    )
