"""Records whose value is the data: CloudEvents in binary mode, and plain records.

CloudEvents Kafka Protocol Binding 1.0, section 3.2. A record is a CloudEvent if it says so by
`ce_specversion`; any other one is plain, and what `ce_*` headers it has are taken along.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hooklane.schemas.cloudevents import CONTENT_TYPE, ELSEWHERE, HEADER_PREFIX
from hooklane.schemas.cloudevents_content_type import BYTES, JSON, is_content_type
from hooklane.schemas.decode_attributes import Attributes
from hooklane.schemas.decode_place import Headers, place, timestamp
from hooklane.schemas.event import (
    NOT_JSON,
    Decoded,
    Encoding,
    NeedsSchema,
    SourceRecord,
    Unreadable,
    read_json,
)


@dataclass(frozen=True, slots=True)
class ReadableData:
    """Data that a reader knows. `document` makes JSON values of it, for an event of this type, or
    raises UnreadableDataError; without one `data` is JSON text itself."""

    data: bytes
    document: Callable[[str], object] | None = None


class DataReader(Protocol):
    """Knows data that is not JSON as it stands, such as Avro with the schemas at hand."""

    def recognise(
        self, value: bytes, content_type: str | None
    ) -> ReadableData | Unreadable | NeedsSchema | None:
        """What a record's value is, or None if it is not this reader's. Does not raise."""


def decode_binary(
    record: SourceRecord, headers: Headers, content_type: str | None, reader: DataReader | None
) -> Decoded:
    """The event whose data is the record's value. `content_type`: a good one from the headers."""
    attributes = _attributes(headers)
    if content_type is None:
        content_type = _content_type_attribute(headers, attributes)
    if "specversion" not in attributes.found and "time" not in attributes.found:
        time = timestamp(record.timestamp_ms)
        if time is not None:
            attributes.found["time"] = time
    if record.value is None:
        return with_data(record, headers, attributes, content_type, b"")
    return with_bytes(record, headers, attributes, content_type, record.value, reader)


def with_bytes(
    record: SourceRecord,
    headers: Headers,
    attributes: Attributes,
    content_type: str | None,
    data: bytes,
    reader: DataReader | None,
) -> Decoded:
    """The event with this data, read by `reader` where that knows it."""
    known = None if reader is None else reader.recognise(data, content_type)
    if known is not None:
        return _known(record, headers, attributes, known)
    return with_data(record, headers, attributes, content_type, data)


def with_data(
    record: SourceRecord,
    headers: Headers,
    attributes: Attributes,
    content_type: str | None,
    data: bytes,
) -> Decoded:
    """The event with this data; without a content type it is JSON if it parses, else bytes.

    No data is no JSON text, so a null or empty value without a content type is bytes.
    """
    if content_type is not None:
        return place(record, headers, attributes, content_type, data)
    document = read_json(data)
    inferred = BYTES if document is NOT_JSON else JSON
    event = place(record, headers, attributes, inferred, data)
    event.read_by(lambda: document)
    return event


def _known(
    record: SourceRecord,
    headers: Headers,
    attributes: Attributes,
    known: ReadableData | Unreadable | NeedsSchema,
) -> Decoded:
    if not isinstance(known, ReadableData):
        return known
    event = place(record, headers, attributes, JSON, known.data)
    read = known.document
    if read is not None:
        event.read_by(Encoding(lambda: read(event.attributes["type"])))
    return event


def _attributes(headers: Headers) -> Attributes:
    attributes = Attributes()
    for header, value in headers.items():
        if header.startswith(HEADER_PREFIX):
            name = header[len(HEADER_PREFIX) :]
            if name not in ELSEWHERE:
                attributes.take_bytes(name, value)
    return attributes


def _content_type_attribute(headers: Headers, attributes: Attributes) -> str | None:
    """A publisher's `ce_datacontenttype`, which the binding would have as `content-type`."""
    found = None
    for header in (CONTENT_TYPE, f"{HEADER_PREFIX}datacontenttype"):
        if header in headers:
            value = headers[header]
            text = None if value is None else value.decode("ascii", "replace")
            if text is None or not is_content_type(text):
                attributes.dropped += 1
            else:
                found = text
    return found
