"""An event that is to be published, as the publishing service says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hooklane.producer.ids import new_id


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """What happened: a CloudEvent without its place in Kafka.

    `id` and `time` are fixed when the event is made, so that publishing the same `NewEvent` again
    is recognisable as a repeat. Better still is an id that the business has anyway.

    `data`: bytes go as they are; None is no data; anything else becomes JSON (dicts, lists,
    dataclasses, pydantic models, datetimes as RFC 3339, decimals as strings), or is text if the
    content type is not JSON. `content_type`: `application/json`, for bytes
    `application/octet-stream`, unless said. `key`: events of one key stay in order; if it is None
    the publisher's key function is asked. `source`: the publisher's, unless said. `extensions`:
    CloudEvents extension attributes. `headers`: further headers of the Kafka record.
    """

    type: str
    data: object = None
    key: str | bytes | None = None
    source: str | None = None
    subject: str | None = None
    id: str = field(default_factory=new_id)
    time: datetime = field(default_factory=_now)
    content_type: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
