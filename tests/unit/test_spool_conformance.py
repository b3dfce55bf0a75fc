"""What every spool says, whichever keeps it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hooklane.retrier.spool import Checkpoint, Spool
from hooklane.retrier.spool_sqlite import open_spool
from hooklane.retrier.standing import Standing, TicketPlace
from tests.support.memory_spool import MemorySpool
from tests.support.spool_facts import content, lane, owed, standing, stray, waiting


@pytest.fixture(params=["memory", "sqlite"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spool]:
    made: Spool = MemorySpool() if request.param == "memory" else open_spool(tmp_path, "me")
    yield made
    made.close()


def test_a_task_comes_back_as_it_was_added(spool: Spool) -> None:
    """Every field of a task survives, with a ticket and without, also with an empty record."""
    tasks = [
        waiting("a", 2**62, 2**60, halted=True, partition=11, timestamp_ms=-1),
        waiting("b", 0, record=bytes(range(256)) * 5_000, ticket=TicketPlace("30s", 2**61)),
        waiting("c", 3, record=b"", subscription="grün", standing=Standing(3, 2, 9, False)),
    ]
    assert [spool.add(task) for task in tasks] == [True] * 3
    assert content(spool, tasks) == tasks


def test_a_task_that_is_there_is_the_same_task(spool: Spool) -> None:
    """The same lane and sequence again changes nothing, whatever it brings (rule 11)."""
    spool.add(waiting("a", 1, 50))
    assert not spool.add(waiting("a", 1, 99, record=b"other", subscription="other"))
    assert spool.first(lane("a")) == waiting("a", 1, 50)
    assert (spool.tasks(), spool.next_due()) == (1, {"billing": 50})


def test_first_is_the_lowest_sequence(spool: Spool) -> None:
    """In whatever order tasks come and go, the first of a lane is its lowest (rule 8)."""
    for sequence in (5, 2, 9, 7):
        spool.add(waiting("a", sequence))
    spool.add(waiting("b", 1))
    seen = []
    while (first := spool.first(lane("a"))) is not None:
        seen.append(first.sequence)
        spool.remove(first.lane, [first.sequence])
    assert seen == [2, 5, 7, 9]


def test_highest_is_the_sequence_of_the_last(spool: Spool) -> None:
    """Whether anything is left of a lane, and beyond a task, can be asked without a payload."""
    for sequence in (5, 9, 2):
        spool.add(waiting("a", sequence))
    assert (spool.highest(lane("a")), spool.highest(lane("b"))) == (9, None)
    for sequence in (2, 5, 9):
        spool.remove(lane("a"), [sequence])
    assert spool.highest(lane("a")) is None


@pytest.mark.parametrize(
    ("sequence", "found"), [(-1, [2, 5, 9]), (2, [5, 9]), (5, [9]), (6, [9]), (9, [])]
)
def test_what_follows_is_of_the_lane(spool: Spool, sequence: int, found: list[int]) -> None:
    """What follows a sequence is of the same lane, whether that sequence is there or not."""
    for one in (9, 2, 5):
        spool.add(waiting("a", one))
    spool.add(waiting("b", 6))
    assert [one.sequence for one in spool.following(lane("a"), sequence, 1000)] == found


@pytest.mark.parametrize(("enough", "found"), [(0, 1), (10, 1), (11, 2), (20, 2), (21, 3)])
def test_what_follows_is_read_up_to_a_size(spool: Spool, enough: int, found: int) -> None:
    """Promise of bounded memory: so many bytes and no more than one record beyond."""
    for sequence in range(3):
        spool.add(waiting("a", sequence, record=b"x" * 10))
    assert len(spool.following(lane("a"), -1, enough)) == found


def test_what_is_not_there_is_said_so(spool: Spool) -> None:
    """An unknown task is neither found nor removed nor changed."""
    spool.add(waiting("a", 1))
    spool.stand(lane("a"), 2, standing(9), None)
    assert spool.get(lane("a"), 2) is None
    assert spool.first(lane("b")) is None
    spool.remove(lane("a"), [2])
    assert spool.tasks() == 1
    spool.remove(lane("a"), [1])
    spool.remove(lane("a"), [1])
    assert spool.tasks() == 0


def test_a_sequence_beyond_64_bits_is_not_there(spool: Spool) -> None:
    """A backlog key may spell a number that no offset can be; it meets nothing, stops nothing."""
    spool.add(waiting("a", 1))
    huge = 9_999_999_999_999_999_999
    assert (spool.get(lane("a"), huge), spool.following(lane("a"), huge, 1)) == (None, [])
    spool.remove(lane("a"), [huge])
    assert spool.take_strays(lane("a"), huge) == []
    spool.stand(lane("a"), huge, standing(), None)
    assert spool.tasks() == 1


def test_only_the_first_task_decides_about_its_lane(spool: Spool) -> None:
    """A lane whose first task is not due is not due, however long its others have been."""
    spool.add(waiting("a", 5, 10))
    assert spool.due("billing", 10, 9) == [lane("a")]
    spool.add(waiting("a", 3, 20))
    assert spool.due("billing", 19, 9) == []
    assert spool.next_due() == {"billing": 20}
    spool.remove(lane("a"), [3])
    assert spool.due("billing", 10, 9) == [lane("a")]
    assert spool.next_due() == {"billing": 10}


def test_longest_due_first_then_the_oldest_event(spool: Spool) -> None:
    """Lanes come in the order of their due times, those that were never tried by their events."""
    spool.add(waiting("late", 1, 30))
    spool.add(waiting("young", 1, timestamp_ms=9))
    spool.add(waiting("old", 1, timestamp_ms=8))
    spool.add(waiting("early", 1, 20))
    spool.add(waiting("other", 1, subscription="other"))
    order = [lane(name) for name in ("old", "young", "early", "late")]
    assert spool.due("billing", 30, 9) == order
    assert spool.due("billing", 30, 2) == order[:2]
    assert spool.due("billing", 29, 9) == order[:3]
    assert sorted(spool.lanes_of("billing", 9)) == sorted(order)
    assert len(spool.lanes_of("billing", 3)) == 3


def test_halted_lanes_are_never_due_but_there(spool: Spool) -> None:
    """A halted first task keeps its lane from being due; its subscription is still listed."""
    spool.add(waiting("a", 1, 10, halted=True))
    assert spool.due("billing", 99, 9) == []
    assert spool.lanes_of("billing", 9) == [lane("a")]
    assert spool.next_due() == {"billing": None}
    spool.add(waiting("b", 1, 50))
    assert spool.next_due() == {"billing": 50}


def test_halted_lanes_are_counted_by_their_first_task(spool: Spool) -> None:
    """In the partitions that are asked for; a halted task further back waits for its turn."""
    spool.add(waiting("a", 1, halted=True))
    spool.add(waiting("b", 1))
    spool.add(waiting("b", 2, halted=True))
    spool.add(waiting("c", 1, halted=True, partition=1))
    spool.add(waiting("d", 1, halted=True, partition=7))
    counts = [spool.halted([0, 1]), spool.halted([7]), spool.halted([])]
    spool.remove(lane("b"), [1])
    spool.stand(lane("a"), 1, standing(5), None)
    assert [*counts, spool.halted([0, 1])] == [2, 1, 0, 2]


def test_next_due_follows_every_change(spool: Spool) -> None:
    """Each subscription's earliest lane, after tasks came, moved and went."""
    assert spool.next_due() == {}
    spool.add(waiting("a", 1, 10))
    spool.add(waiting("b", 1, 20))
    spool.add(waiting("c", 1, 5, subscription="other"))
    assert spool.next_due() == {"billing": 10, "other": 5}
    spool.stand(lane("a"), 1, standing(40, attempts=1), TicketPlace("5s", 1))
    assert spool.next_due() == {"billing": 20, "other": 5}
    spool.remove(lane("c"), [1])
    spool.remove(lane("b"), [1])
    assert spool.next_due() == {"billing": 40}
    spool.remove(lane("a"), [1])
    assert spool.next_due() == {}


def test_stand_sets_what_holds(spool: Spool) -> None:
    """Standing and ticket are replaced, the rest of the task stays."""
    spool.add(waiting("a", 1, ticket=TicketPlace("5s", 3)))
    now = Standing(4, 1, 77, True)
    spool.stand(lane("a"), 1, now, TicketPlace("30s", 8))
    assert spool.get(lane("a"), 1) == waiting("a", 1, standing=now, ticket=TicketPlace("30s", 8))
    spool.stand(lane("a"), 1, now, None)
    assert spool.first(lane("a")) == waiting("a", 1, standing=now)


def test_the_first_open_ticket_is_a_tasks_or_a_strays(spool: Spool) -> None:
    """The lowest offset of a tier in a partition; used-up tickets count no more (rule 7)."""
    assert spool.first_open_ticket(0, "30s") is None
    spool.add(waiting("a", 1, ticket=TicketPlace("30s", 9)))
    spool.add(waiting("b", 1, ticket=TicketPlace("5s", 2)))
    spool.add(waiting("c", 1, ticket=TicketPlace("30s", 1), partition=1))
    assert spool.first_open_ticket(0, "30s") == 9
    spool.add_stray(stray("z", 1, offset=4))
    assert spool.first_open_ticket(0, "30s") == 4
    spool.take_strays(lane("z"), 1)
    spool.stand(lane("a"), 1, standing(), TicketPlace("5s", 7))
    assert (spool.first_open_ticket(0, "30s"), spool.first_open_ticket(0, "5s")) == (None, 2)


def test_strays_are_taken_once_in_the_order_they_came(spool: Spool) -> None:
    """All stray tickets of a task leave together; those of other tasks stay."""
    came = [stray("a", 1, offset) for offset in (5, 3, 8)]
    for ticket in (*came, stray("a", 2, 6)):
        spool.add_stray(ticket)
    assert spool.take_strays(lane("a"), 1) == came
    assert spool.take_strays(lane("a"), 1) == []
    assert spool.take_strays(lane("a"), 2) == [stray("a", 2, 6)]


def test_a_stray_that_is_read_again_is_one_stray_that_came_now(spool: Spool) -> None:
    """A tier that is read twice leaves one stray for each ticket, and the later reading counts."""
    spool.add_stray(stray("a", 1, 5))
    mark = spool.mark()
    spool.add_stray(stray("a", 1, 5))
    spool.drop_strays(0, mark)
    assert spool.take_strays(lane("a"), 1) == [stray("a", 1, 5)]


def test_a_stray_that_is_read_again_is_taken_once(spool: Spool) -> None:
    """One ticket read twice, once it seems for another task, is what the later reading says."""
    for name in ("a", "b", "b"):
        spool.add_stray(stray(name, 1, 5))
    assert spool.take_strays(lane("a"), 1) == []
    assert spool.take_strays(lane("b"), 1) == [stray("b", 1, 5)]


def test_strays_before_a_mark_are_dropped(spool: Spool) -> None:
    """Of one partition, what came before the mark goes and what came since stays."""
    spool.add_stray(stray("a", 1, 1))
    spool.add_stray(stray("b", 1, 2, partition=1))
    mark = spool.mark()
    spool.add_stray(stray("c", 1, 3))
    spool.drop_strays(0, mark)
    left = [len(spool.take_strays(lane(name), 1)) for name in "abc"]
    assert left == [0, 1, 1]


def test_marks_rise_though_strays_leave(spool: Spool) -> None:
    """A mark is never below an earlier one, also when no stray is left."""
    first = spool.mark()
    spool.add_stray(stray("a", 1, 1))
    second = spool.mark()
    spool.take_strays(lane("a"), 1)
    assert first < second == spool.mark()


def test_the_highest_release_of_a_lane_is_owed(spool: Spool) -> None:
    """A later release takes the place of an earlier one, never the other way round."""
    assert spool.owe(owed("a", 5)) == owed("a", 5)
    assert spool.owe(owed("a", 3)) == owed("a", 5)
    assert spool.owe(owed("a", 9)) == owed("a", 9)
    spool.owe(owed("b", 1, partition=2))
    assert (spool.owed(0), spool.owed(1)) == ([owed("a", 9)], [])


def test_paid_leaves_a_later_release_owed(spool: Spool) -> None:
    """What is written up to a sequence pays for that and what is below."""
    spool.owe(owed("a", 9))
    spool.paid(lane("a"), 8)
    assert spool.owed(0) == [owed("a", 9)]
    spool.paid(lane("a"), 9)
    spool.paid(lane("b"), 9)
    assert spool.owed(0) == []


def test_the_last_checkpoint_of_a_partition_holds(spool: Spool) -> None:
    """Saving again replaces; partitions have one each."""
    assert spool.checkpoint(3) is None
    for saved in (Checkpoint(3, "x", 10, 1), Checkpoint(4, "x", 7, 1), Checkpoint(3, "y", 2, 9)):
        spool.save_checkpoint(saved)
    assert spool.checkpoint(3) == Checkpoint(3, "y", 2, 9)
    assert spool.checkpoint(4) == Checkpoint(4, "x", 7, 1)


def test_forgetting_takes_all_of_the_partitions_and_nothing_else(spool: Spool) -> None:
    """Tasks, strays, releases and checkpoints of a partition go together."""
    for partition, name in enumerate("abc"):
        spool.add(waiting(name, 1, partition=partition))
        spool.add_stray(stray(name, 2, 4, partition))
        spool.owe(owed(name, 1, partition))
        spool.save_checkpoint(Checkpoint(partition, "x", 1, 1))
    spool.forget([0, 2, 5])
    assert spool.tasks() == 1
    assert [spool.first(lane(name)) is None for name in "abc"] == [True, False, True]
    assert [len(spool.take_strays(lane(name), 2)) for name in "abc"] == [0, 1, 0]
    assert [len(spool.owed(partition)) for partition in range(3)] == [0, 1, 0]
    assert [spool.checkpoint(at) is None for at in range(3)] == [True, False, True]
    assert spool.next_due() == {"billing": 0}


def test_counts_and_the_oldest_event(spool: Spool) -> None:
    """How many wait, and since when the longest waiting lane, whatever the order they came in."""
    assert (spool.tasks(), spool.oldest_ms()) == (0, None)
    for name, sequence, timestamp_ms in (
        ("a", 7, 500),
        ("b", 1, 300),
        ("c", 1, 400),
        ("a", 6, 350),
    ):
        spool.add(waiting(name, sequence, timestamp_ms=timestamp_ms))
    assert (spool.tasks(), spool.oldest_ms()) == (4, 300)
    spool.remove(lane("b"), [1])
    assert (spool.tasks(), spool.oldest_ms()) == (3, 350)
    spool.remove(lane("a"), [6])
    assert (spool.tasks(), spool.oldest_ms()) == (2, 400)


def test_a_batch_is_seen_inside_and_kept_whole(spool: Spool) -> None:
    """What was changed in a batch is there within it and after it."""
    with spool.batch():
        spool.add(waiting("a", 1))
        assert spool.tasks() == 1
        spool.save_checkpoint(Checkpoint(0, "x", 2, 1))
        assert spool.first(lane("a")) == waiting("a", 1)
    assert (spool.tasks(), spool.checkpoint(0)) == (1, Checkpoint(0, "x", 2, 1))


def test_a_batch_that_fails_leaves_nothing(spool: Spool) -> None:
    """Whatever an error interrupts is undone, in every part of the spool, and work goes on."""
    spool.add(waiting("a", 5, 10))
    spool.owe(owed("a", 3))
    mark = spool.mark()

    def fail() -> None:
        with spool.batch():
            spool.add(waiting("a", 1))
            spool.add(waiting("b", 1, subscription="other"))
            spool.remove(lane("a"), [5])
            spool.add_stray(stray("a", 6, 1))
            spool.paid(lane("a"), 3)
            spool.save_checkpoint(Checkpoint(0, "x", 2, 1))
            assert spool.next_due() == {"billing": 0, "other": 0}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (spool.first(lane("a")), spool.tasks()) == (waiting("a", 5, 10), 1)
    assert (spool.next_due(), spool.due("billing", 10, 9)) == ({"billing": 10}, [lane("a")])
    assert (spool.owed(0), spool.checkpoint(0)) == ([owed("a", 3)], None)
    assert (spool.mark(), spool.take_strays(lane("a"), 6)) == (mark, [])
    spool.forget([0])
    assert (spool.tasks(), spool.next_due()) == (0, {})
