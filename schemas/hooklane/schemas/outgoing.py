"""A record on its way to one of Hooklane's own topics, and those that both services write. Pure."""

from datetime import UTC, datetime
from typing import NamedTuple

from hooklane.schemas.book_status import status_record
from hooklane.schemas.lane import LaneId, lane_partition


class Record(NamedTuple):
    """One record to produce. A value of None is a tombstone."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None


def by_lane(topic: str, lane: LaneId, value: bytes, partitions: int) -> Record:
    """A record of a lane, in the lane's own partition of `partitions`."""
    return Record(topic, lane_partition(lane, partitions), lane.encode(), value)


def disabled(topic: str, subscription: str, offset: int, reason: str, at_ms: int) -> Record:
    """In the config topic: a 410 judged the document at `offset`, at `at_ms` (since the epoch)."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    key, value = status_record(subscription, offset, reason, at)
    return Record(topic, 0, key, value)
