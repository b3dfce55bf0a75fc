"""What a `content-type` says: whether it is one, which CloudEvents mode it means, what data."""

import re
from enum import Enum
from typing import Final

from hooklane.schemas.cloudevents import STRUCTURED_JSON

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
LONGEST_CONTENT_TYPE: Final = 256

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word, not a secret
_MEDIA_TYPE = re.compile(
    # Possessive, so that a long row of semicolons and blanks cannot make it search for ever.
    rf"{_TOKEN}/{_TOKEN}(?:[ \t]*+;[ \t]*+(?:{_TOKEN}=(?:{_TOKEN}|\"[ !#-\[\]-~]*\"))?)*+[ \t]*+"
)


class Mode(Enum):
    """How a record carries its CloudEvent (Kafka Protocol Binding 1.0, section 3)."""

    BINARY = "binary"
    """Attributes in headers, the value is the data. Plain records have the same form."""
    STRUCTURED = "structured"
    """The value is a JSON document of attributes and data."""
    BATCHED = "batched"
    """Several events in one record; the Kafka binding has no such mode."""
    UNKNOWN = "unknown"
    """An event format other than JSON."""


def is_content_type(text: str) -> bool:
    """Whether it is a media type with its parameters (RFC 9110, section 8.3.1)."""
    return len(text) <= LONGEST_CONTENT_TYPE and _MEDIA_TYPE.fullmatch(text) is not None


def essence(content_type: str) -> str:
    """The type and subtype in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def mode_of(content_type: str | None) -> Mode:
    if content_type is None or not content_type[:23].lower().startswith("application/cloudevents"):
        return Mode.BINARY
    kind = essence(content_type)
    if kind == STRUCTURED_JSON:
        return Mode.STRUCTURED
    return Mode.BATCHED if kind.startswith("application/cloudevents-batch") else Mode.UNKNOWN


def is_json(content_type: str) -> bool:
    """Whether the subtype is `json` or ends in `+json` (CloudEvents JSON format, section 3.1)."""
    subtype = essence(content_type).partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def is_avro(content_type: str) -> bool:
    """Whether it is one of Avro's, such as `avro/binary` or `application/vnd.apache.avro+json`."""
    return "avro" in essence(content_type)


def is_text(content_type: str) -> bool:
    """Whether data of this type is characters: text of any kind, or XML."""
    kind, _, subtype = essence(content_type).partition("/")
    return kind == "text" or subtype == "xml" or subtype.endswith("+xml")
