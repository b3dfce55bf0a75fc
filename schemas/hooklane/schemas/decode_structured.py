"""Records whose value is a whole CloudEvent as JSON.

CloudEvents Kafka Protocol Binding 1.0, section 3.3, and the JSON event format 1.0. What the
publisher wrote as `data` goes on character by character, so that no number in it changes.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping

from hooklane.schemas.cloudevents import ELSEWHERE, SPEC_VERSION
from hooklane.schemas.cloudevents_content_type import JSON, is_content_type, is_json
from hooklane.schemas.decode_attributes import Attributes
from hooklane.schemas.decode_binary import DataReader, with_bytes, with_data
from hooklane.schemas.decode_json import raw_member
from hooklane.schemas.decode_place import Headers, place
from hooklane.schemas.event import Decoded, SourceRecord, Unreadable, read_json

_DATA = frozenset(("data", "data_base64"))


def decode_structured(
    record: SourceRecord, headers: Headers, reader: DataReader | None = None
) -> Decoded:
    """The event that the record's value is, or why it is none. `reader` reads `data_base64`."""
    text = record.value or b""
    document = read_json(text)
    if not isinstance(document, dict):
        return Unreadable("the structured CloudEvent is not a JSON object")
    if document.get("specversion") != SPEC_VERSION:
        return Unreadable(
            f"the structured CloudEvent's specversion is not {SPEC_VERSION}, "
            "the only one that can be read"
        )
    attributes = Attributes()
    for name, value in document.items():
        if name not in _DATA and name not in ELSEWHERE:
            attributes.take_json(name, value)
    content_type = _content_type(document, attributes)
    return _with_its_data(record, headers, attributes, content_type, document, reader)


def _with_its_data(
    record: SourceRecord,
    headers: Headers,
    attributes: Attributes,
    content_type: str | None,
    document: Mapping[str, object],
    reader: DataReader | None,
) -> Decoded:
    encoded = document.get("data_base64")
    if encoded is not None:
        if "data" in document:
            return Unreadable("the structured CloudEvent has both data and data_base64")
        data = _from_base64(encoded)
        if data is None:
            return Unreadable("the structured CloudEvent's data_base64 is not base64")
        return with_bytes(record, headers, attributes, content_type, data, reader)
    if "data" not in document:
        return with_data(record, headers, attributes, content_type, b"")
    value = document["data"]
    if isinstance(value, str) and content_type is not None and not is_json(content_type):
        return place(record, headers, attributes, content_type, value.encode())
    data = raw_member((record.value or b"").decode(), "data").encode()
    event = place(record, headers, attributes, content_type or JSON, data)
    event.read_by(lambda: value)
    return event


def _content_type(document: Mapping[str, object], attributes: Attributes) -> str | None:
    found = document.get("datacontenttype")
    if found is None:
        return None
    if isinstance(found, str) and is_content_type(found):
        return found
    attributes.dropped += 1
    return None


def _from_base64(encoded: object) -> bytes | None:
    if not isinstance(encoded, str):
        return None
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
