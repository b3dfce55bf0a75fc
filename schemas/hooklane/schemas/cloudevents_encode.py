"""From attributes and data to a Kafka record's headers and value, in both CloudEvents modes.

CloudEvents Kafka Protocol Binding 1.0, sections 3.2 and 3.3, and the JSON event format 1.0. The
`partitionkey` of an event is its record's key and is written nowhere else.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import TypeAlias

from pydantic_core import to_json

from hooklane.schemas.cloudevents import (
    CONTENT_TYPE,
    CORE,
    ELSEWHERE,
    HEADER_PREFIX,
    MAX_EXTENSIONS,
    REQUIRED,
    STRUCTURED_JSON,
    attribute_fault,
    extension_size,
)
from hooklane.schemas.cloudevents_content_type import (
    Mode,
    is_content_type,
    is_json,
    is_text,
    mode_of,
)
from hooklane.schemas.event import NOT_JSON, read_json

RecordHeaders: TypeAlias = list[tuple[str, bytes]]


class BadAttributeError(ValueError):
    """An attribute that CloudEvents, or Hooklane's limits, do not allow."""


def check_attributes(attributes: Mapping[str, str], content_type: str | None) -> None:
    """Refuse what a reader would drop or fill in.

    Raises:
        BadAttributeError: names the attribute and what is wrong with it.
    """
    size = 0
    for name, value in attributes.items():
        if name in ELSEWHERE:
            raise BadAttributeError(f"{name} is no attribute to set: it is the event's own field")
        fault = attribute_fault(name, value)
        if fault is not None:
            raise BadAttributeError(f"the attribute {name!r} {fault}")
        if name not in CORE:
            size += extension_size(name, value)
    if size > MAX_EXTENSIONS:
        raise BadAttributeError(
            f"the extension attributes are {size} bytes together: at most {MAX_EXTENSIONS}"
        )
    missing = [name for name in REQUIRED if name not in attributes]
    if missing:
        raise BadAttributeError(f"the attribute {missing[0]!r} is missing")
    if content_type is not None:
        _check_content_type(content_type)


def to_binary(attributes: Mapping[str, str], content_type: str | None) -> RecordHeaders:
    """The headers of a record whose value is the data."""
    headers = [(HEADER_PREFIX + name, value.encode()) for name, value in attributes.items()]
    if content_type is not None:
        headers.append((CONTENT_TYPE, content_type.encode()))
    return headers


def to_structured(
    attributes: Mapping[str, str], content_type: str | None, data: bytes
) -> tuple[RecordHeaders, bytes]:
    """The headers and the value of a record that is the whole event as JSON.

    Data that is JSON goes in as it is (without the blanks around it), text as a string, and
    whatever else as base64.
    """
    members = dict(attributes)
    if content_type is not None:
        members["datacontenttype"] = content_type
    member = _data_member(content_type, data)
    opened = to_json(members)[:-1]
    value = opened + member + b"}"
    return [(CONTENT_TYPE, STRUCTURED_JSON.encode())], value


def _data_member(content_type: str | None, data: bytes) -> bytes:
    if not data:
        return b""
    if content_type is None or is_json(content_type):
        if read_json(data) is not NOT_JSON:
            return b',"data":' + data.strip(b" \t\r\n")
    elif is_text(content_type):
        try:
            return b',"data":' + to_json(data.decode())
        except UnicodeDecodeError:
            pass
    return b',"data_base64":"' + b64encode(data) + b'"'


def _check_content_type(content_type: str) -> None:
    if not is_content_type(content_type):
        raise BadAttributeError(f"{content_type!r} is no media type, such as application/json")
    if mode_of(content_type) is not Mode.BINARY:
        raise BadAttributeError(
            f"{content_type} is the type of a whole CloudEvent, not of an event's data"
        )
