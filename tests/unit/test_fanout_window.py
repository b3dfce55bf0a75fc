"""The window and the flow: a partition is paused when too much of it is open, and resumed."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.window import Flow, Window
from hooklane.runtime.group_client import Assigned
from tests.support.fanout_facts import partition

MIB = 1 << 20
WIDE = Window(deliveries=100, bytes=8 * MIB, span=1000)


def ledger(deliveries: int = 0, size: int = 0, span: int = 0) -> Ledger:
    """So many open deliveries of one event of `size` bytes, or `span` offsets of which the first
    is open."""
    found = Ledger(LedgerState(0))
    if deliveries:
        found.admit(0, [number.to_bytes(8, "big") for number in range(deliveries)], size)
    if span > 1:
        found.admit(span - 1, ())
    return found


@pytest.mark.parametrize(
    ("held", "partitions", "full", "room"),
    [
        pytest.param(ledger(), 1, False, True, id="nothing"),
        pytest.param(ledger(50), 1, False, True, id="half of the deliveries"),
        pytest.param(ledger(51), 1, False, False, id="more than half of the deliveries"),
        pytest.param(ledger(99), 1, False, False, id="nearly all deliveries"),
        pytest.param(ledger(100), 1, True, False, id="all deliveries"),
        pytest.param(ledger(50), 2, True, False, id="all of its share of the deliveries"),
        pytest.param(ledger(31), 100, False, False, id="the least deliveries of each, nearly"),
        pytest.param(ledger(32), 100, True, False, id="the least deliveries of each"),
        pytest.param(ledger(16), 100, False, True, id="half of the least deliveries"),
        pytest.param(ledger(1, 4 * MIB), 1, False, True, id="half of the bytes"),
        pytest.param(ledger(1, 4 * MIB + 1), 1, False, False, id="more than half of the bytes"),
        pytest.param(ledger(1, 8 * MIB), 1, True, False, id="all bytes"),
        pytest.param(ledger(1, 4 * MIB), 2, True, False, id="all of its share of the bytes"),
        pytest.param(ledger(1, MIB), 100, True, False, id="the least bytes of each"),
        pytest.param(ledger(1, MIB - 1), 100, False, False, id="the least bytes of each, nearly"),
        pytest.param(ledger(1, MIB // 2), 100, False, True, id="half of the least bytes"),
        pytest.param(ledger(1, span=500), 1, False, True, id="half of the span"),
        pytest.param(ledger(1, span=501), 1, False, False, id="more than half of the span"),
        pytest.param(ledger(1, span=999), 1, False, False, id="nearly all of the span"),
        pytest.param(ledger(1, span=1000), 1, True, False, id="all of the span"),
        pytest.param(ledger(1, span=500), 2, False, True, id="the span is each one's own"),
        pytest.param(ledger(0, span=5000), 1, False, True, id="what is settled takes no room"),
    ],
)
def test_when_a_window_is_full_and_when_it_has_room(
    held: Ledger, partitions: int, full: bool, room: bool
) -> None:
    """Rule 4: bounded by deliveries, bytes and span, shared among partitions; room is at half."""
    assert WIDE.is_full(held, partitions) is full
    assert WIDE.has_room(held, partitions) is room


@settings(deadline=None)
@given(
    st.builds(ledger, st.integers(0, 200), st.integers(0, 10 * MIB), st.integers(0, 2000)),
    st.integers(1, 200),
)
def test_a_full_window_has_no_room(held: Ledger, partitions: int) -> None:
    """Or a partition would be resumed in the moment in which it is paused, and so on."""
    assert not (WIDE.is_full(held, partitions) and WIDE.has_room(held, partitions))


class Stage:
    def __init__(self, *partitions: EventPartition, window: Window | None = None) -> None:
        self.owned = OwnedPartitions()
        for one in partitions:
            self.owned.add(one)
        self.said: list[tuple[str, int]] = []
        self.flow = Flow(
            window or Window(64, MIB, 1000), self.owned, self._says("pause"), self._says("resume")
        )

    def _says(self, word: str) -> Callable[[EventPartition], None]:
        return lambda one: self.said.append((word, one.place.partition))


def fill(one: EventPartition, deliveries: int) -> list[bytes]:
    offset = one.ledger.position
    open_ = [b"%d-%d" % (offset, number) for number in range(deliveries)]
    one.ledger.admit(offset, open_)
    return open_


def test_a_full_partition_is_paused_once_and_resumed_at_half() -> None:
    """Rule 4: the window is bounded by pausing; it goes on at half, and not to and fro."""
    one = partition()
    stage = Stage(one)
    waiting = fill(one, 63)
    stage.flow.grown([one])
    assert stage.said == []
    waiting += fill(one, 1)
    stage.flow.grown([one])
    stage.flow.grown([one])
    assert stage.said == [("pause", 0)]
    for subscriber in waiting:
        one.ledger.settle(0, subscriber)
        stage.flow.shrunk(one)
        if one.ledger.open_deliveries > 32:
            assert stage.said == [("pause", 0)]
    assert stage.said == [("pause", 0), ("resume", 0)]


def test_only_the_full_one_is_paused() -> None:
    """Isolation: the events of one partition do not stop another."""
    full, other = partition(0), partition(1)
    stage = Stage(full, other)
    fill(full, 64)
    fill(other, 1)
    stage.flow.grown([full, other])
    assert stage.said == [("pause", 0)]
    stage.flow.shrunk(other)
    assert stage.said == [("pause", 0)]


def test_closed_means_that_nothing_more_is_taken() -> None:
    """While a subscription cannot be understood, all partitions rest, also ones that come."""
    one, later = partition(0), partition(1)
    stage = Stage(one)
    stage.flow.close()
    stage.flow.close()
    stage.owned.add(later)
    stage.flow.grown([later])
    stage.flow.shrunk(one)
    stage.flow.look()
    assert stage.said == [("pause", 0), ("pause", 1)]
    stage.flow.open()
    assert sorted(stage.said[2:]) == [("resume", 0), ("resume", 1)]


def test_opened_again_a_full_partition_stays_paused() -> None:
    """To open is not to forget what was full."""
    full, empty = partition(0), partition(1)
    stage = Stage(full, empty)
    waiting = fill(full, 64)
    stage.flow.close()
    stage.flow.open()
    assert stage.said[2:] == [("resume", 1)]
    for subscriber in waiting:
        full.ledger.settle(0, subscriber)
    stage.flow.look()
    assert stage.said[3:] == [("resume", 0)]


def test_open_at_first() -> None:
    """`open` without a `close` before changes nothing."""
    one = partition()
    stage = Stage(one)
    stage.flow.open()
    stage.flow.grown([one])
    assert stage.said == []


def test_a_partition_that_has_gone_is_forgotten() -> None:
    """What was paused of an old assignment says nothing about a new one of the same partition."""
    old, new = partition(), partition()
    stage = Stage(old)
    waiting = fill(old, 64)
    stage.flow.grown([old])
    stage.owned.remove(Assigned("orders", 0))
    stage.owned.add(new)
    for subscriber in waiting:
        old.ledger.settle(0, subscriber)
    stage.flow.look()
    assert stage.said == [("pause", 0)]
    fill(new, 64)
    stage.flow.grown([new])
    assert stage.said == [("pause", 0), ("pause", 0)]


def test_fewer_partitions_have_more_room_each() -> None:
    """When one goes, `look` finds that another may go on."""
    one, two = partition(0), partition(1)
    stage = Stage(one, two, window=Window(200, MIB, 1000))
    fill(one, 100)
    stage.flow.grown([one])
    assert stage.said == [("pause", 0)]
    stage.owned.remove(Assigned("orders", 1))
    stage.flow.look()
    assert stage.said == [("pause", 0), ("resume", 0)]
