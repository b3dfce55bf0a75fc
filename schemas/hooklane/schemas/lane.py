"""Lane ids and webhook ids: digests that every service computes alike.

Both are blake2b digests over length-prefixed fields, so that no two different tuples of fields
can give the same bytes. A null field and an empty field differ in their prefix.
"""

import struct
import zlib
from hashlib import blake2b
from typing import NewType

LaneId = NewType("LaneId", str)
"""A lane's 128-bit digest as 32 lower-case hex digits: a record key that a person can type."""

Sequence = NewType("Sequence", int)
"""A delivery's place in its lane: the event's offset."""

_LENGTH = struct.Struct(">i")
_INT = struct.Struct(">q")
_NULL = _LENGTH.pack(-1)


def _text(value: str) -> bytes:
    return _field(value.encode())


def _field(value: bytes | None) -> bytes:
    return _NULL if value is None else _LENGTH.pack(len(value)) + value


class LaneNamer:
    """Names the lanes and webhooks of one subscription in one event partition.

    The fields that do not change from event to event are digested once; a name then costs one
    copy of the digest's state.
    """

    def __init__(
        self, group: str, subscription: str, uid: str, topic_id: str, partition: int, run: str = ""
    ) -> None:
        place = _text(topic_id) + _INT.pack(partition)
        subscriber = _text(subscription) + _text(uid)
        self._lane = blake2b(
            _text(group) + subscriber + place + _text(run), digest_size=16, person=b"hooklane-lane"
        )
        self._webhook = blake2b(subscriber + place, digest_size=16, person=b"hooklane-msg")

    def lane(self, key: bytes | None) -> LaneId:
        """The lane of all deliveries of `key`. A null key is not an empty key."""
        digest = self._lane.copy()
        digest.update(_field(key))
        return LaneId(digest.hexdigest())

    def one_shot(self, key: bytes | None, offset: int) -> LaneId:
        """The lane that is only the delivery of the event at `offset`."""
        digest = self._lane.copy()
        digest.update(_field(key) + _INT.pack(offset))
        return LaneId(digest.hexdigest())

    def webhook_id(self, offset: int) -> str:
        """The `webhook-id` header: the same at every attempt of this delivery."""
        digest = self._webhook.copy()
        digest.update(_INT.pack(offset))
        return "msg_" + digest.hexdigest()


def subscriber_digest(subscription: str, uid: str) -> bytes:
    """Eight bytes that stand for a subscription in a ledger, whatever its `ordering` is."""
    return blake2b(_text(subscription) + _text(uid), digest_size=8, person=b"hooklane-sub").digest()


def unreadable_lane(group: str, topic_id: str, partition: int, offset: int) -> LaneId:
    """The lane of a record that could not be read: it belongs to no subscription."""
    fields = _text(group) + _text(topic_id) + _INT.pack(partition) + _INT.pack(offset)
    return LaneId(blake2b(fields, digest_size=16, person=b"hooklane-bad").hexdigest())


def lane_partition(lane: LaneId, partitions: int) -> int:
    """Where the lane's backlog, tickets, attempts and dead letters are: crc32 of the key's bytes.

    The same as librdkafka's `consistent` partitioner gives for the lane as a record key.
    """
    return zlib.crc32(lane.encode()) % partitions
