"""When a spool may be continued, when a partition is restored, and what goes along with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.retrier.blocked_lanes import _apply
from hooklane.retrier.restore import BacklogFacts, RestoreProgress, is_usable, owed_of
from hooklane.retrier.spool import Checkpoint, OwedRelease
from hooklane.retrier.tiers import Tiers
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.codec import LANES
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord
from hooklane.schemas.topics import TopicNames, blocked_key, ledger_key, released_key
from tests.support.fanout_facts import TIERS
from tests.support.retrier_facts import lane_id

DAY_MS = 86_400_000
FACTS = BacklogFacts("T", first_offset=10, end_offset=50, keeps_tombstones_ms=DAY_MS)
BACKLOG, TIER = Assigned("hooklane.backlog", 0), Assigned("hooklane.retry.5s", 0)


@pytest.mark.parametrize(
    ("topic_id", "offset", "age_ms", "usable"),
    [
        ("T", 30, 0, True),
        ("T", 10, 0, True),
        ("T", 50, 0, True),
        ("T", 9, 0, False),
        ("T", 51, 0, False),
        ("T", 30, DAY_MS - 1, True),
        ("T", 30, DAY_MS, False),
        ("T", 30, -DAY_MS, True),
        ("another", 30, 0, False),
    ],
)
def test_checkpoints(topic_id: str, offset: int, age_ms: int, usable: bool) -> None:
    """Rule 7: too old, beyond the log, before its start or of another topic is thrown away."""
    now_ms = 10 * DAY_MS
    checkpoint = Checkpoint(0, topic_id, offset, now_ms - age_ms)
    assert is_usable(checkpoint, FACTS, now_ms) is usable


def test_restored_when_the_backlog_and_every_tier_are_at_their_ends() -> None:
    """Rule 7: the tasks and then the open tickets, or due times and counts would be too low."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.aim(0, {BACKLOG: 5, TIER: 3})
    progress.reached(BACKLOG, 5)
    assert progress.take_restored() == []
    progress.reached(TIER, 2)
    assert progress.take_restored() == []
    progress.reached(TIER, 3)
    assert progress.take_restored() == [0]
    assert progress.take_restored() == []


def test_not_restored_before_the_end_is_known() -> None:
    """Rule 7: how far to read is asked after the assignment; until then nothing is enough."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.reached(BACKLOG, 1_000)
    assert progress.take_restored() == []
    assert progress.left() == {0: None}
    progress.aim(0, {BACKLOG: 1_000})
    assert progress.take_restored() == [0]


def test_an_empty_partition_is_restored_at_once() -> None:
    """Nothing to read is read."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.aim(0, {BACKLOG: 0, TIER: 0})
    assert progress.take_restored() == [0]


def test_partitions_do_not_wait_for_each_other() -> None:
    """Promise of isolation: a short partition starts before a long one is read."""
    progress, other = RestoreProgress(), Assigned("hooklane.backlog", 1)
    for partition, place in ((0, BACKLOG), (1, other)):
        progress.begin(partition)
        progress.aim(partition, {place: 5})
    progress.reached(other, 9)
    assert progress.take_restored() == [1]
    assert progress.left() == {0: 5}


def test_a_position_of_an_earlier_assignment_does_not_count() -> None:
    """Rule 7: what another owner has written meanwhile is not read yet."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.reached(BACKLOG, 9)
    progress.forget(0, [BACKLOG])
    assert progress.left() == {}
    progress.begin(0)
    progress.aim(0, {BACKLOG: 9})
    assert progress.take_restored() == []


def test_an_end_that_is_known_too_late_is_of_no_interest() -> None:
    """The partition went away while the broker was asked."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.forget(0, [])
    progress.aim(0, {BACKLOG: 0})
    assert progress.take_restored() == []


def test_what_is_left_counts_from_where_the_reading_began() -> None:
    """Section 7: a tier that is read from its committed offset has less left than its offsets."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.reached(BACKLOG, 90)
    progress.aim(0, {BACKLOG: 100, TIER: 7})
    assert progress.left() == {0: 17}
    progress.reached(BACKLOG, 120)
    assert progress.left() == {0: 7}


@given(st.lists(st.integers(0, 50)), st.integers(0, 50))
def test_positions_only_rise(offsets: list[int], target: int) -> None:
    """An end that is told after later records takes nothing back."""
    progress = RestoreProgress()
    progress.begin(0)
    progress.aim(0, {BACKLOG: target})
    for offset in offsets:
        progress.reached(BACKLOG, offset)
    assert progress.position(BACKLOG) == max(offsets, default=0)
    assert progress.take_restored() == ([0] if max(offsets, default=0) >= target else [])


def test_tiers_go_along_with_the_backlogs_partition() -> None:
    """Section 2: a lane is in the same partition of the backlog and of every tier."""
    tiers = Tiers(TopicNames("p"), TIERS, 12)
    assert tiers.backlog == "p.backlog"
    along = [Assigned("p.retry.5s", 7), Assigned("p.retry.30s", 7)]
    assert tiers.along(Assigned("p.backlog", 7)) == along
    assert tiers.places(Assigned("p.backlog", 7)) == list(zip(TIERS, along, strict=True))
    assert [tiers.of_topic(name) for name in ("p.retry.30s", "p.backlog")] == [TIERS[1], None]


L = lane_id("l")


def lane_record(sequence: int) -> LaneRecord:
    return LaneRecord(sequence, "g", "orders", "T", 7, "s", "u", b"k", 5)


@pytest.mark.parametrize(
    ("records", "blocked"),
    [
        ([(blocked_key(L), LANES.encode(lane_record(3)))], 3),
        ([(blocked_key(L), LANES.encode(lane_record(n))) for n in (3, 9)], 9),
        ([(blocked_key(L), LANES.encode(lane_record(3))), (blocked_key(L), None)], None),
        ([(released_key(L), LANES.encode(lane_record(3)))], None),
        ([(ledger_key("g", "T", 0), b"anything")], None),
        ([(None, None), (b"junk", b"junk"), (b"blocked:short", None)], None),
        ([(blocked_key(L), LANES.encode(lane_record(3))), (blocked_key(L), b"newer")], None),
        ([(blocked_key(L), None)], None),
    ],
)
def test_which_lanes_are_blocked(
    records: list[tuple[bytes | None, bytes | None]], blocked: int | None
) -> None:
    """Rule 7: of the lanes topic only `blocked` records in force count, and nothing stops it."""
    found: dict[LaneId, LaneRecord] = {}
    for key, value in records:
        _apply(found, key, value)
    assert found == ({} if blocked is None else {L: lane_record(blocked)})


def test_what_a_blocked_lane_is_owed() -> None:
    """Rule 9: the release goes to the event partition's owner, up to what is blocked."""
    expected = OwedRelease(2, L, 9, "g", "orders", "T", 7, "s", "u", b"k")
    assert owed_of(L, lane_record(9), 2) == expected
