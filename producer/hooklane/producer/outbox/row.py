"""A row of an outbox table, as far as the relay needs it. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Row:
    """What one transaction wrote about one event.

    `position`: the order within a queue. `queue`: what stays in order; rows of a topic and a key
    are one queue, a row without a key is one by itself. `bucket`: where its queue belongs.
    `payload`: bytes as they go out. `headers`: a JSON object, or nothing.
    """

    position: int
    bucket: int
    queue: str
    id: str | None
    aggregatetype: str | None
    aggregateid: str | None
    type: str | None
    payload: bytes | None
    time: datetime | None = None
    headers: str | None = None
