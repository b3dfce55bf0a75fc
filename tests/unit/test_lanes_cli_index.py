"""Which tasks wait, from keys alone."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.lanes_index import BacklogIndex, LaneTasks, TaskPlace
from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import task_key

LANES = [LaneId(digit * 32) for digit in "01"]
RECORDS = st.lists(st.tuples(st.sampled_from(LANES), st.integers(0, 9), st.booleans()))


@given(RECORDS)
def test_the_index_is_what_compaction_would_leave(
    records: list[tuple[LaneId, int, bool]],
) -> None:
    """Whatever the order of tasks, repeats and tombstones: the latest record of each key counts."""
    index = BacklogIndex()
    left: dict[tuple[LaneId, int], int] = {}
    for offset, (lane, sequence, tombstone) in enumerate(records):
        index.read(task_key(lane, sequence), offset, tombstone=tombstone)
        if tombstone:
            left.pop((lane, sequence), None)
        else:
            left[lane, sequence] = offset
    found = {lane: list(tasks) for lane, tasks in index.lanes.items()}
    wanted = {
        lane: sorted(TaskPlace(n, at) for (of, n), at in left.items() if of == lane)
        for lane in LANES
        if any(of == lane for of, _ in left)
    }
    assert found == wanted
    assert {lane: len(tasks) for lane, tasks in index.lanes.items()} == {
        lane: len(places) for lane, places in wanted.items()
    }


def test_a_long_lane_that_is_worked_off_from_its_beginning() -> None:
    """The gap at the beginning is cut off again and again, and nothing else with it."""
    tasks = LaneTasks()
    for sequence in range(10_000):
        tasks.put(sequence, sequence + 5)
    for sequence in range(9_000):
        tasks.remove(sequence)
        assert len(tasks) == 9_999 - sequence
    tasks.remove(9_500)
    tasks.put(3, 20_000)
    assert list(tasks)[:3] == [
        TaskPlace(3, 20_000),
        TaskPlace(9_000, 9_005),
        TaskPlace(9_001, 9_006),
    ]
    assert len(tasks) == 1_000
    assert 9_500 not in {place.sequence for place in tasks}


def test_a_task_costs_a_few_bytes() -> None:
    """A hundred thousand waiting tasks of one lane take some megabytes, whatever they carry."""
    tracemalloc.start()
    try:
        index = BacklogIndex()
        for sequence in range(100_000):
            index.read(task_key(LANES[0], sequence), sequence, tombstone=False)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3_000_000


def test_foreign_keys_are_counted() -> None:
    """A record that no version here wrote is neither a lane nor an error."""
    index = BacklogIndex()
    for key in (None, b"", b"\xff", b"x:1", b"0" * 32 + b":01"):
        index.read(key, 0, tombstone=False)
    assert (index.lanes, index.unknown_keys) == ({}, 5)


def test_the_beginning_of_an_id_finds_its_lanes() -> None:
    """All that begin so, none that only contain it."""
    index = BacklogIndex()
    for name in ("aaaa" + "0" * 28, "aaab" + "0" * 28, "0aaa" + "0" * 28):
        index.read(task_key(LaneId(name), 1), 0, tombstone=False)
    assert len(index.begin_with("aaa")) == 2
    assert index.begin_with("aaab") == ["aaab" + "0" * 28]
