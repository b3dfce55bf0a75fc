"""From a Kafka record to an event: CloudEvents in binary and structured mode, and anything else.

CloudEvents Kafka Protocol Binding 1.0, section 3. Nothing in a record makes this raise: what is
bad in a single attribute is dropped and counted, what is no event at all is `Unreadable`.
"""

from functools import lru_cache
from typing import assert_never, overload

from hooklane.schemas.cloudevents import CONTENT_TYPE
from hooklane.schemas.cloudevents_content_type import (
    LONGEST_CONTENT_TYPE,
    Mode,
    is_content_type,
    mode_of,
)
from hooklane.schemas.decode_binary import DataReader, decode_binary
from hooklane.schemas.decode_place import Headers
from hooklane.schemas.decode_structured import decode_structured
from hooklane.schemas.event import Decoded, SourceRecord, Told, Unreadable


@overload
def decode(record: SourceRecord) -> Told: ...
@overload
def decode(record: SourceRecord, reader: DataReader | None) -> Decoded: ...
def decode(record: SourceRecord, reader: DataReader | None = None) -> Decoded:
    """What the record means. `reader` reads data that is no JSON, where there is one.

    Of several headers of one name the last one counts, as it does in Kafka's own clients.
    """
    headers: Headers = dict(record.headers)
    content_type, mode = _content_type(headers)
    match mode:
        case Mode.BINARY:
            return decode_binary(record, headers, content_type, reader)
        case Mode.STRUCTURED:
            return decode_structured(record, headers, reader)
        case Mode.BATCHED:
            return Unreadable(
                "the record is a batch of CloudEvents: publish one event a record, "
                "since the Kafka binding has no batched mode"
            )
        case Mode.UNKNOWN:
            return Unreadable(
                f"the record is a structured CloudEvent, but {(content_type or '')[:64]!r} is "
                "no format that can be read: use application/cloudevents+json"
            )
        case _:
            assert_never(mode)


def _content_type(headers: Headers) -> tuple[str | None, Mode]:
    """The header's value if it is a media type; a bad one is left in `headers` to be counted.

    One that begins as a CloudEvent's says that the value is no data, however badly it goes on.
    """
    value = headers.get(CONTENT_TYPE)
    return (None, Mode.BINARY) if value is None else _judged(value[: LONGEST_CONTENT_TYPE + 1])


@lru_cache(maxsize=256)
def _judged(value: bytes) -> tuple[str | None, Mode]:
    text = value.decode("ascii", "replace")
    mode = mode_of(text)
    return (text if mode is not Mode.BINARY or is_content_type(text) else None), mode
