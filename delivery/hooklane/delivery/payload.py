"""The body of a request and its content type, by payload mode."""

from dataclasses import dataclass
from typing import Final

from hooklane.delivery.headers import attributes
from hooklane.schemas.cloudevents import STRUCTURED_JSON
from hooklane.schemas.cloudevents_content_type import BYTES, is_content_type
from hooklane.schemas.cloudevents_encode import to_structured
from hooklane.schemas.event import Event

STRUCTURED_TYPE: Final = STRUCTURED_JSON


@dataclass(frozen=True, slots=True)
class Payload:
    content_type: str
    body: bytes


def binary(event: Event) -> Payload:
    """The data as it is."""
    good = is_content_type(event.content_type)
    return Payload(event.content_type if good else BYTES, event.data)


def structured(event: Event) -> Payload:
    """The CloudEvents JSON format 1.0: attributes and data in one object.

    JSON data goes in as it was written, so that no number changes; other text as a string;
    everything else, also what only claims to be JSON, as `data_base64`.
    """
    _, body = to_structured(dict(attributes(event)), event.content_type, event.data)
    return Payload(STRUCTURED_TYPE, body)
