"""The queue: which lanes are looked at, in which turn, and how many may be at work."""

from collections.abc import Collection, Container

import pytest

from hooklane.retrier.gate import TaskGate
from hooklane.retrier.queue import LaneQueue
from hooklane.schemas.lane import LaneId
from tests.support.fanout_facts import entry
from tests.support.memory_spool import MemorySpool
from tests.support.receivers import OpenTo
from tests.support.retrier_facts import NOW_MS, Documents, lane_id, task, waiting


class PagedSpool(MemorySpool):
    """Counts the pages of due lanes that it is asked for."""

    pages = 0

    def due(
        self, subscription: str, now_ms: int, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        self.pages += 1
        return super().due(subscription, now_ms, limit, partitions)


class Bench:
    def __init__(self, *, most: int = 100, share: int = 100, limit: int = 32) -> None:
        self.spool = PagedSpool()
        self.receivers = OpenTo()
        limits = {"max_in_flight": limit}
        self.book = Documents(entry("s", delivery=limits), entry("t", delivery=limits))
        self.queue = LaneQueue(
            self.spool, TaskGate(self.book, self.receivers, share), most, range(100)
        )
        self.begun: list[LaneId] = []

    def add(self, *lanes: str, subscription: str = "s", due_ms: int | None = None) -> None:
        for lane in lanes:
            self.spool.add(waiting(task(1, lane, subscription, due_ms=due_ms)))

    def begin(self, subscription: str = "s", at_work: Container[LaneId] = ()) -> list[LaneId]:
        """Take a slot for each lane that the queue gives."""
        begun = []
        for lane in self.queue.due_lanes(
            subscription,
            NOW_MS,
            lambda lane: lane in at_work or lane in self.begun,
            self.begun.__len__,
        ):
            self.queue.take_slot(subscription)
            begun.append(lane)
            self.begun.append(lane)
        return begun


@pytest.mark.parametrize(
    ("due_ms", "looked_at"), [(None, ["s"]), (NOW_MS, ["s"]), (NOW_MS + 1, [])]
)
def test_only_what_is_due_is_looked_at(due_ms: int | None, looked_at: list[str]) -> None:
    """Rule 8: at once if it has never been attempted, else when due."""
    bench = Bench()
    bench.add("a", due_ms=due_ms)
    bench.queue.look(NOW_MS)
    assert list(bench.queue.marked()) == looked_at


def test_a_deleted_subscription_is_looked_at_whatever_is_due() -> None:
    """Rule 7: its deliveries are discarded now and not after their tier's delay."""
    bench = Bench()
    bench.add("a", due_ms=NOW_MS + 1)
    bench.spool.add(waiting(task(1, "halted", halted=True)))
    del bench.book.entries["s"]
    bench.queue.look(NOW_MS)
    assert list(bench.queue.marked()) == ["s"]
    assert set(bench.begin()) == {lane_id("a"), lane_id("halted")}


def test_subscriptions_take_turns() -> None:
    """Promise of isolation: one that is marked again goes behind the others."""
    bench = Bench()
    for name in ("s", "t"):
        bench.queue.mark(name)
    turns = bench.queue.marked()
    assert next(turns) == "s"
    bench.queue.mark("s")
    assert next(turns) == "t"
    assert list(bench.queue.marked()) == ["s"]


def test_nobody_loses_the_turn_while_the_process_is_full() -> None:
    """Promise of isolation: who cannot be looked at for want of a slot stays marked."""
    bench = Bench(most=1)
    bench.queue.take_slot("s")
    bench.queue.mark("t")
    assert list(bench.queue.marked()) == []
    bench.queue.free_slot("s")
    assert list(bench.queue.marked()) == ["t"]


def test_longest_due_first() -> None:
    """Who has waited longest is tried first."""
    bench = Bench(limit=1)
    bench.add("late", due_ms=NOW_MS - 1)
    bench.add("early", due_ms=NOW_MS - 9)
    assert bench.begin() == [lane_id("early")]


@pytest.mark.parametrize(
    ("most", "share", "limit", "begun"),
    [(100, 100, 2, 2), (100, 3, 32, 3), (4, 100, 32, 4), (100, 100, 32, 5)],
    ids=["the document's", "the share", "the process's", "all there is"],
)
def test_limits(most: int, share: int, limit: int, begun: int) -> None:
    """Section 6: never more lanes at work than each of the three limits allows."""
    bench = Bench(most=most, share=share, limit=limit)
    bench.add("a", "b", "c", "d", "e")
    assert len(bench.begin()) == begun
    assert bench.queue.in_flight == begun
    assert bench.queue.has_slot("s") is (begun == 5)


def test_a_subscription_at_its_limit_leaves_slots_to_others() -> None:
    """Promise of isolation: only its own lanes wait."""
    bench = Bench(limit=1)
    bench.add("a", "b")
    bench.add("c", subscription="t")
    assert len(bench.begin("s")) == 1
    assert bench.begin("t") == [lane_id("c")]


def test_a_freed_slot_is_used_at_once() -> None:
    """A subscription that waited for a slot does not wait for the next look as well."""
    bench = Bench(limit=1)
    bench.add("a", "b")
    bench.begin()
    assert list(bench.queue.marked()) == []
    bench.queue.free_slot("s")
    assert list(bench.queue.marked()) == ["s"]


def test_a_freed_slot_that_nobody_waits_for_marks_nothing() -> None:
    """An idle retrier looks at nothing."""
    bench = Bench()
    bench.add("a")
    bench.begin()
    bench.queue.free_slot("s")
    assert list(bench.queue.marked()) == []


def test_lanes_at_work_are_passed_over() -> None:
    """Rule 8: a lane at work is not given again, also where it still stands among the due ones."""
    bench = Bench()
    bench.add("a", "b")
    assert bench.begin(at_work={lane_id("a")}) == [lane_id("b")]


def test_a_freed_slot_is_not_a_page_of_lanes_again() -> None:
    """Promise of bounded memory: a page serves many slots, and goes when no lane is at work."""
    bench = Bench(limit=2)
    bench.add(*(f"lane {number}" for number in range(100)))
    bench.begin()
    for _ in range(62):
        bench.queue.free_slot("s")
        bench.begin()
    assert (len(bench.begun), bench.spool.pages) == (64, 1)
    bench.queue.free_slot("s")
    bench.begin()
    assert (len(bench.begun), bench.spool.pages) == (65, 2)
    for _ in range(2):
        bench.queue.free_slot("s")
    assert bench.queue._pages == {}


def test_lanes_of_which_nothing_begins_end_the_look() -> None:
    """Where nothing may begin the same page would be found again, and again, for ever."""
    bench = Bench()
    bench.add(*(f"lane {number}" for number in range(200)))
    given = list(bench.queue.due_lanes("s", NOW_MS, lambda _: False, lambda: 0))
    assert 0 < len(given) < 200


def test_more_than_a_page_begins_in_one_look() -> None:
    """Bounded memory: lanes are read by the page, and page follows page while there are slots."""
    bench = Bench(most=1_000, share=1_000, limit=1_000)
    bench.add(*(f"lane {number}" for number in range(100)))
    busy = {lane_id(f"lane {number}") for number in range(60)}
    given = list(bench.queue.due_lanes("s", NOW_MS, busy.__contains__, busy.__len__))
    assert len(given) == 40


def test_a_rate_limit_holds_a_subscription_back_and_marks_it_again() -> None:
    """Section 6: over its rate nothing begins, nobody else waits, and it is looked at in time."""
    bench = Bench()
    bench.add("a", "b")
    bench.add("c", subscription="t")
    bench.receivers.waits["s"] = 0.25
    assert bench.begin("s") == []
    assert bench.begin("t") == [lane_id("c")]
    assert bench.queue.pause_s() == 0.25
    bench.queue.resume()
    assert list(bench.queue.marked()) == []
    bench.receivers.waits["s"] = 0.0
    bench.queue.resume()
    assert list(bench.queue.marked()) == ["s"]
    assert bench.queue.pause_s() is None


def test_a_rate_limit_does_not_hold_back_what_is_discarded() -> None:
    """Rule 7: nothing of a disabled subscription is attempted, so its rate says nothing."""
    bench = Bench()
    bench.add("a", "b")
    bench.receivers.waits["s"] = 60.0
    bench.book.entries["s"] = entry("s", state="disabled")
    assert len(bench.begin()) == 2
