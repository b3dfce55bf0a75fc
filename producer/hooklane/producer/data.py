"""An event's data as bytes, where nothing but the event itself says how. No I/O."""

from typing import NamedTuple

from pydantic_core import from_json, to_json

from hooklane.producer.errors import InvalidEventError
from hooklane.producer.event import NewEvent
from hooklane.schemas.cloudevents_content_type import BYTES, JSON, is_json


class Data(NamedTuple):
    """What stands in the record, and what it says of itself."""

    content_type: str
    value: bytes
    dataschema: str | None


def plain_data(event: NewEvent) -> Data:
    """JSON, unless it is bytes or says that it is something else.

    Raises:
        InvalidEventError: it cannot be written so.
    """
    data, content_type = event.data, event.content_type
    if content_type is None:
        content_type = BYTES if isinstance(data, bytes) else JSON
    return Data(content_type, _value(event.id, data, content_type), event.dataschema)


def json_of(event_id: str, data: object) -> bytes:
    """Any data as JSON.

    Raises:
        InvalidEventError: there is no JSON for it.
    """
    try:
        text = to_json(data)
        # pydantic writes NaN and the infinities as JavaScript does; only then is a second look due.
        if b"NaN" in text or b"Infinity" in text:
            from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidEventError(f"the data of event {event_id} is no JSON: {error}") from error
    return text


def _value(event_id: str, data: object, content_type: str) -> bytes:
    if data is None:
        return b""
    if isinstance(data, bytes):
        return data
    if content_type is JSON or is_json(content_type):
        return json_of(event_id, data)
    if isinstance(data, str):
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            raise InvalidEventError("the data has a lone surrogate, which is no text") from error
    raise InvalidEventError(
        f"the data of event {event_id} is no {content_type}: "
        "give bytes or text, or a content type that is JSON"
    )
