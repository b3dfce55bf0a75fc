"""The body of a request and its content type, by payload mode."""

import json
from dataclasses import dataclass
from typing import Final

from hooklane.delivery.headers import attributes
from hooklane.schemas.cloudevents import STRUCTURED_JSON
from hooklane.schemas.cloudevents_content_type import BYTES, is_content_type
from hooklane.schemas.cloudevents_encode import to_structured
from hooklane.schemas.event import NOT_JSON, Event
from hooklane.schemas.subscription_parts import Payload as PayloadPart
from hooklane.schemas.template import Template, TemplateError, read_template

STRUCTURED_TYPE: Final = STRUCTURED_JSON
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Payload:
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Templated:
    """A template as a subscription has it, with the content type of what it makes."""

    template: Template
    content_type: str

    @property
    def makes_json(self) -> bool:
        media = self.content_type.partition(";")[0].strip().lower()
        return media == _JSON or media.endswith("+json")


def templated_by(payload: PayloadPart) -> Templated | None:
    """The template of a document, if it has one."""
    if payload.template is None:
        return None
    return Templated(read_template(payload.template), payload.content_type or _JSON)


def templated(event: Event, by: Templated) -> Payload:
    """What the template makes of the event: of `data` (JSON values, or text) and `event`, its
    attributes.

    Raises:
        TemplateError: it fails for this event, or makes JSON that is none.
    """
    variables: dict[str, object] = {"event": dict(attributes(event))}
    data = _data(event)
    if data is not NOT_JSON:
        variables["data"] = data
    output = by.template.render(variables)
    if by.makes_json:
        _check_json(output)
    return Payload(by.content_type, output.encode())


def _data(event: Event) -> object:
    data = event.document()
    if data is not NOT_JSON:
        return data
    try:
        return event.data.decode()
    except UnicodeDecodeError:
        return NOT_JSON


def _check_json(output: str) -> None:
    try:
        json.loads(output)
    except RecursionError as error:
        raise TemplateError("its output is JSON that is nested too deep") from error
    except ValueError as error:
        raise TemplateError(f"its output is not JSON: {error}") from error


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
