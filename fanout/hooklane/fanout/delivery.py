"""One event for one subscription, while it is in this process."""

from dataclasses import dataclass
from typing import NamedTuple

from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId


class Place(NamedTuple):
    """An event partition. By topic id and not by name: a topic made again is another one."""

    topic: str
    topic_id: str
    partition: int


@dataclass(slots=True, eq=False)
class Delivery:
    """One event for one subscription. Its identity is the object: it is here only once.

    `config_offset` is the offset of the document that matched, `admitted` the monotonic second
    at which the event came in, `subscriber` the subscription's digest in the ledger. `undecided`:
    why nobody knows whether the subscription wants it, hence it is given up; mostly empty.
    """

    place: Place
    sequence: int
    lane: LaneId
    one_shot: bool
    webhook_id: str
    subscription: str
    uid: str
    subscriber: bytes
    config_offset: int
    event: Event
    admitted: float
    undecided: str = ""
