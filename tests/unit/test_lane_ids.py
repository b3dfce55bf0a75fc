"""Lane ids, webhook ids and the partition of a lane."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.lane import (
    LaneId,
    LaneNamer,
    lane_partition,
    subscriber_digest,
    unreadable_lane,
)

LANE = "627b5cbca9730a52db524787ce9f3ca4"
LANE_NULL = "dba57f9e9b154e0c4597b48c5af5b53b"
ONE_SHOT = "0ccca9a7c6e8b92ef599d7ffc06dcda1"
WEBHOOK = "msg_104deb3471e1a242dca983b601175154"
SUBSCRIBER = "f20a9a4baf22138e"
UNREADABLE = "ead1d2a0646c8e33fafb5e24eb9e976a"

BASE = {
    "group": "hooklane-fanout",
    "subscription": "billing",
    "uid": "01JD",
    "topic_id": "0" * 32,
    "partition": 3,
    "run": "",
}


def namer(**changed: object) -> LaneNamer:
    return LaneNamer(**{**BASE, **changed})  # type: ignore[arg-type]


CHANGES: list[dict[str, object]] = [
    {"group": "other"},
    {"subscription": "billing2"},
    {"uid": ""},
    {"topic_id": "1" * 32},
    {"partition": 4},
    {"run": "replay-1"},
    # The same characters, cut in another place.
    {"group": "hooklane-fanoutb", "subscription": "illing"},
    {"subscription": "billing01", "uid": "JD"},
    {"subscription": "billin", "uid": "g01JD"},
]


@pytest.mark.parametrize("change", CHANGES)
def test_each_field_makes_another_lane(change: dict[str, object]) -> None:
    """A lane's id differs as soon as one of its fields does, or is cut elsewhere."""
    assert namer(**change).lane(b"k") != namer().lane(b"k")
    assert namer(**change).one_shot(b"k", 1) != namer().one_shot(b"k", 1)


@pytest.mark.parametrize(
    "change",
    [one for one in CHANGES if not one.keys() & {"group", "run"}],
)
def test_each_field_makes_another_webhook_id(change: dict[str, object]) -> None:
    """A webhook id differs with subscription, uid, topic and partition."""
    assert namer(**change).webhook_id(7) != namer().webhook_id(7)


def test_webhook_id_outlives_group_and_run() -> None:
    """Another group or a replay keeps the webhook id, so that a receiver knows the repeat."""
    assert namer(group="other", run="replay-1").webhook_id(7) == namer().webhook_id(7)


def test_null_key_is_not_an_empty_key() -> None:
    """A null key and an empty key are different lanes, one-shot or not."""
    assert namer().lane(None) != namer().lane(b"")
    assert namer().one_shot(None, 1) != namer().one_shot(b"", 1)


def test_one_shot_lanes_are_one_delivery_each() -> None:
    """The offset makes a one-shot lane; it is never the lane of its key."""
    name = namer()
    lanes = {name.one_shot(b"k", offset) for offset in range(100)} | {name.lane(b"k")}
    assert len(lanes) == 101


@given(key=st.none() | st.binary(max_size=20), other=st.none() | st.binary(max_size=20))
def test_lane_of_a_key_and_its_offset_never_collide(key: bytes | None, other: bytes | None) -> None:
    """No key reads as another key with an offset, whatever bytes it has."""
    assert namer().one_shot(key, 5) != namer().lane(other)
    assert (namer().lane(key) == namer().lane(other)) == (key == other)


def test_ids_have_a_form_that_is_safe_everywhere() -> None:
    """A lane is 32 hex digits; a webhook id has no dot, which would be ambiguous when signed."""
    assert re.fullmatch("[0-9a-f]{32}", namer().lane(b"k.\xff"))
    assert re.fullmatch("msg_[0-9a-f]{32}", namer(subscription="a.b").webhook_id(7))


def test_ids_are_what_they_were() -> None:
    """The digests are a contract: what waits in Kafka was named by them."""
    assert namer().lane(b"c-42") == LANE
    assert namer().lane(None) == LANE_NULL
    assert namer().one_shot(b"c-42", 12) == ONE_SHOT
    assert namer().webhook_id(12) == WEBHOOK
    assert subscriber_digest("billing", "01JD").hex() == SUBSCRIBER
    assert unreadable_lane("g", "0" * 32, 3, 12) == UNREADABLE


def test_subscriber_digest_takes_both_fields() -> None:
    """Eight bytes that differ with the id and with the uid."""
    found = {subscriber_digest(*one) for one in [("a", "b"), ("ab", ""), ("a", ""), ("", "ab")]}
    assert len(found) == 4
    assert {len(one) for one in found} == {8}


def test_unreadable_records_have_a_lane_each() -> None:
    """The lane of an unreadable record differs with group, topic, partition and offset."""
    found = {
        unreadable_lane("g", "t", 0, 0),
        unreadable_lane("h", "t", 0, 0),
        unreadable_lane("g", "u", 0, 0),
        unreadable_lane("g", "t", 1, 0),
        unreadable_lane("g", "t", 0, 1),
    }
    assert len(found) == 5


def crc32_by_the_polynomial(data: bytes) -> int:
    """CRC-32 (IEEE 802.3, reflected) bit by bit, as librdkafka's rd_crc32 defines it."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xEDB88320 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


@given(lane=st.from_regex("[0-9a-f]{32}", fullmatch=True), partitions=st.integers(1, 500))
def test_partition_is_crc32_of_the_key(lane: str, partitions: int) -> None:
    """A lane's partition is the CRC-32 of its digits modulo the partition count."""
    expected = crc32_by_the_polynomial(lane.encode()) % partitions
    assert lane_partition(LaneId(lane), partitions) == expected
    assert zlib.crc32(b"123456789") == 0xCBF43926
