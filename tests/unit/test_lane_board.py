"""Which lanes the demonstration shows as blocked and released."""

from hooklane.fanout.delivery import Delivery
from hooklane.fanout.redirect import Share
from hooklane.ops.lane_board import LaneBoard
from hooklane.schemas.lane import LaneId
from tests.support.fanout_facts import PLACE, delivery


def share(*blocked: Delivery, tombstones: tuple[str, ...] = ()) -> Share:
    lanes = tuple(map(LaneId, tombstones))
    return Share(PLACE, 0, tombstones=lanes, blocked=blocked)


def test_a_lane_is_blocked_until_its_tombstones() -> None:
    """Counted by subscription; a lane that is blocked further is still one lane."""
    board = LaneBoard()
    board.committed([share(delivery(1, "x", "a"), delivery(1, "y", "b"))])
    board.committed([share(delivery(2, "x", "a"))])
    assert [board.blocked(name) for name in "abc"] == [1, 1, 0]
    board.committed([share(tombstones=("x",))])
    assert (board.blocked("a"), board.released("a"), board.released("b")) == (0, 1, 0)


def test_tombstones_come_before_the_blocks_of_their_transaction() -> None:
    """A lane that is released and blocked anew in one transaction is blocked after it."""
    board = LaneBoard()
    board.committed([share(delivery(1, "x", "a"))])
    board.committed([share(delivery(2, "x", "a"), tombstones=("x",))])
    assert (board.blocked("a"), board.released("a")) == (1, 1)


def test_tombstones_of_an_unknown_lane_release_nothing() -> None:
    """Releases are repeated now and then, and are answered each time."""
    board = LaneBoard()
    board.committed([share(tombstones=("x",))])
    assert board.released("a") == 0
