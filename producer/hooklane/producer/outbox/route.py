"""From a row to the record of an event, or why it is none. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from pydantic_core import from_json

from hooklane.producer.encoding import EventEncoder, OutgoingRecord
from hooklane.producer.errors import InvalidEventError
from hooklane.producer.event import NewEvent
from hooklane.producer.outbox.layout import TYPE_FIELD, Layout, PayloadKind
from hooklane.producer.outbox.row import Row
from hooklane.schemas.cloudevents_content_type import BYTES, JSON
from hooklane.schemas.event import NOT_JSON, read_json

_TEXT: Final = "text/plain; charset=utf-8"
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class BadRowError(Exception):
    """Its text is why, as the end of a sentence."""


class Route:
    """Makes records of one table's rows. `kind`: of its payloads."""

    def __init__(self, layout: Layout, kind: PayloadKind) -> None:
        self._layout = layout
        self._kind = kind
        self._encoder = EventEncoder()

    def record(self, row: Row) -> OutgoingRecord:
        """The record of the row's event: the same one each time, but for the time of rows that
        have none.

        Raises:
            BadRowError: the row cannot be an event.
        """
        if not row.id:
            raise BadRowError("it has no id")
        if not row.type:
            raise BadRowError("it has no type")
        event = NewEvent(
            type=row.type,
            data=row.payload,
            key=row.aggregateid,
            source=_filled(self._layout.source, row),
            id=row.id,
            content_type=self._content_type(row.payload),
            headers={} if row.headers is None else _headers(row.headers),
        )
        if row.time is not None:
            event = replace(event, time=row.time)
        try:
            return self._encoder.encode(self._topic(row), event)
        except InvalidEventError as error:
            raise BadRowError(str(error)) from error

    def _topic(self, row: Row) -> str:
        topic = _filled(self._layout.topic, row)
        if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
            raise BadRowError(
                f"{topic!r} is no topic's name: Kafka takes 1 to 249 of a-z A-Z 0-9 . _ -"
            )
        return topic

    def _content_type(self, payload: bytes | None) -> str:
        if self._layout.content_type is not None:
            return self._layout.content_type
        match self._kind:
            case PayloadKind.JSON:
                return JSON
            case PayloadKind.BYTES:
                return BYTES
            case PayloadKind.TEXT:
                return JSON if payload and read_json(payload) is not NOT_JSON else _TEXT
            case _:
                assert_never(self._kind)


def _filled(template: str, row: Row) -> str:
    if TYPE_FIELD not in template:
        return template
    if not row.aggregatetype:
        raise BadRowError("it has no aggregatetype")
    return template.replace(TYPE_FIELD, row.aggregatetype)


def _headers(text: str) -> Mapping[str, str]:
    try:
        found = from_json(text)
    except ValueError as error:
        raise BadRowError("its headers are no JSON") from error
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise BadRowError('its headers are no JSON object of texts, such as {"traceparent": "…"}')
    return found
