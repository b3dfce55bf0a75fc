"""The lane table: which lanes are blocked, and which records are due for tombstones."""

import pytest

from hooklane.fanout.lanes import LaneTable
from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import LaneKey

L = LaneId("1" * 32)
M = LaneId("2" * 32)
BLOCKED, RELEASED = LaneKey.BLOCKED, LaneKey.RELEASED


def test_an_unknown_lane_is_open() -> None:
    """No record means nothing waits: keys that never failed cost no memory."""
    assert not LaneTable().is_blocked(L)


def test_a_release_below_the_highest_redirect_keeps_the_lane_blocked() -> None:
    """Rule 1: the retrier had not seen the later ones when it wrote the release."""
    table = LaneTable()
    table.redirect(L, 7)
    table.redirect(L, 9)
    assert not table.release(L, 7)
    assert table.is_blocked(L)
    assert table.release(L, 9)
    assert not table.is_blocked(L)


def test_an_opened_lane_is_due_once() -> None:
    """Rule 5: a release that opens a lane is answered by tombstones in the next transaction."""
    table = LaneTable()
    table.redirect(L, 7)
    table.release(L, 7)
    assert table.take_due() == (L,)
    assert table.take_due() == ()


def test_a_release_for_an_unknown_lane_is_answered_too() -> None:
    """Rule 5: else a release that is repeated after a crash would stay for ever."""
    table = LaneTable()
    assert table.release(M, 3)
    assert table.take_due() == (M,)


@pytest.mark.parametrize(
    ("records", "blocked", "due"),
    [
        ([(BLOCKED, 7)], True, ()),
        ([(BLOCKED, 7), (RELEASED, 6)], True, ()),
        ([(BLOCKED, 7), (RELEASED, 7)], False, (L,)),
        ([(RELEASED, 7), (BLOCKED, 7)], False, (L,)),
        ([(RELEASED, 9), (BLOCKED, 7)], False, (L,)),
        ([(RELEASED, 7)], False, (L,)),
        ([(BLOCKED, 7), (RELEASED, 7), (BLOCKED, None), (RELEASED, None)], False, ()),
        ([(BLOCKED, 7), (BLOCKED, None), (BLOCKED, 9)], True, ()),
        ([(RELEASED, 9), (RELEASED, None), (BLOCKED, 12)], True, ()),
        ([(BLOCKED, None), (RELEASED, 7)], False, (L,)),
    ],
)
def test_restoring(
    records: list[tuple[LaneKey, int | None]], blocked: bool, due: tuple[LaneId, ...]
) -> None:
    """The records of a lane, in any order that compaction may leave, give its state."""
    table = LaneTable()
    for kind, sequence in records:
        table.restore(kind, L, sequence)
    table.restored()
    assert (table.is_blocked(L), table.take_due()) == (blocked, due)


def test_a_release_found_while_restoring_does_not_open_later_redirects() -> None:
    """A release of the past is forgotten once read: only a new one can open the lane."""
    table = LaneTable()
    table.restore(RELEASED, L, 5)
    table.restored()
    table.redirect(L, 4)
    assert table.is_blocked(L)
