"""Delays, topic names and the keys of internal records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import (
    Delay,
    LaneKey,
    TopicNames,
    blocked_key,
    ledger_key,
    released_key,
    split_lane_key,
    split_task_key,
    task_key,
)

LANE = LaneId("0123456789abcdef" * 2)
lanes = st.from_regex("[0-9a-f]{32}", fullmatch=True).map(LaneId)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5.0), ("30m", 1800.0), ("10h", 36000.0), ("1d", 86400.0)],
)
def test_delays_are_read_with_their_unit(text: str, seconds: float) -> None:
    """A delay is its number times its unit."""
    assert Delay.parse(text).seconds == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "0s",
        "05s",
        "-5s",
        "5 s",
        "1.5s",
        "5S",
        "5s\n",
        " 5s",
        "\u0665s",
        "5w",
        "9" * 400 + "d",
    ],
)
def test_other_texts_are_no_delays(text: str) -> None:
    """What is not a whole number above zero with a unit is refused by a ValueError."""
    with pytest.raises(ValueError, match="is not a delay"):
        Delay.parse(text)


def test_delays_compare_by_their_length() -> None:
    """60s and 1m are the same delay in two spellings; 7000ms is 7s exactly."""
    assert Delay.parse("60s") == Delay.parse("1m")
    assert Delay.parse("59s") < Delay.parse("1m")
    assert all(Delay.parse(f"{n}000ms") == Delay.parse(f"{n}s") for n in range(1, 2000))


def test_topics_have_the_names_of_the_design() -> None:
    """Every topic of a prefix, in the order in which they are made."""
    tiers = (Delay.parse("5s"), Delay.parse("30m"))
    assert list(TopicNames("acme").all(tiers)) == [
        "acme.subscriptions",
        "acme.backlog",
        "acme.lanes",
        "acme.attempts",
        "acme.dead-letters",
        "acme.audit",
        "acme.retry.5s",
        "acme.retry.30m",
    ]


@given(lane=lanes, sequence=st.integers(0, 2**63 - 1))
def test_task_keys_come_back(lane: LaneId, sequence: int) -> None:
    """A backlog key names its lane and sequence."""
    assert split_task_key(task_key(lane, sequence)) == (lane, sequence)


@given(lane=lanes, group=st.text(min_size=1, max_size=20), partition=st.integers(0, 10_000))
def test_lane_keys_come_back(lane: LaneId, group: str, partition: int) -> None:
    """A key of the lanes topic names its kind and the rest, also with colons in the group."""
    assert split_lane_key(blocked_key(lane)) == (LaneKey.BLOCKED, lane)
    assert split_lane_key(released_key(lane)) == (LaneKey.RELEASED, lane)
    topic_id = "ab" * 16
    assert split_lane_key(ledger_key(group, topic_id, partition)) == (
        LaneKey.LEDGER,
        f"{group}:{topic_id}:{partition}",
    )


@pytest.mark.parametrize(
    "key",
    [
        b"",
        LANE.encode(),
        f"{LANE}:".encode(),
        f"{LANE}:-1".encode(),
        f"{LANE}:007".encode(),
        f"{LANE}:1\n".encode(),
        f"{LANE}:{'9' * 5000}".encode(),
        f"{LANE}:٣".encode(),
        f"{LANE.upper()}:1".encode(),
        b"lane:1",
        b"\xff:1",
    ],
)
def test_foreign_task_keys_are_none(key: bytes) -> None:
    """A key that no version here wrote is None: another spelling would miss its tombstone."""
    assert split_task_key(key) is None


@pytest.mark.parametrize(
    "key", [b"", b"blocked", b"blocked:", b"blocked:\xff", b"other:x", b"ledger:g", b"\xff\xfe"]
)
def test_foreign_lane_keys_are_none(key: bytes) -> None:
    """A key of an unknown kind or form is None."""
    assert split_lane_key(key) is None


@given(key=st.binary(max_size=80))
def test_no_key_raises(key: bytes) -> None:
    """Whatever bytes someone put as a key, splitting does not raise."""
    split_lane_key(key)
    found = split_task_key(key)
    assert found is None or task_key(*found) == key
