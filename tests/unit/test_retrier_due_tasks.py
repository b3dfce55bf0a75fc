"""How many tasks could be attempted now."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import pytest

from hooklane.retrier.due_tasks import DueTasks, keep_counting
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.spool import Waiting
from hooklane.retrier.spool_sqlite_lock import SpoolError
from hooklane.runtime.metrics import Metrics, Service
from tests.support.fanout_facts import HandClock, entry, until
from tests.support.memory_spool import MemorySpool
from tests.support.receivers import OpenTo
from tests.support.retrier_facts import Documents
from tests.support.spool_facts import standing, waiting

NOW_MS = 10_000


def due(tasks: Iterable[Waiting], *documents: str, paused: Iterable[str] = ()) -> DueTasks:
    spool = MemorySpool()
    for one in tasks:
        spool.add(one)
    book = Documents(
        *(entry(name) for name in documents), *(entry(name, state="paused") for name in paused)
    )
    return DueTasks(spool, TaskGate(book, OpenTo(lambda _: False), 10), lambda: [0, 1])


@pytest.mark.parametrize(
    ("task", "count"),
    [
        (waiting("l", 1, NOW_MS, subscription="a"), 1),
        (waiting("l", 1, NOW_MS + 1, subscription="a"), 0),
        (waiting("l", 1, 0, subscription="a", standing=standing(0, halted=True)), 0),
        (waiting("l", 1, 0, subscription="paused"), 0),
        (waiting("l", 1, 0, subscription="a", partition=7), 0),
    ],
)
def test_what_counts(task: Waiting, count: int) -> None:
    """Due, not halted, of a subscription that is not held, in a partition of this process."""
    assert due([task], "a", paused=["paused"]).count(NOW_MS) == count


def test_halted_lanes_of_this_process() -> None:
    """They wait for an operator, whether their subscription is held or not."""
    tasks = [
        waiting("one", 1, 0, subscription="a", halted=True),
        waiting("two", 1, 0, subscription="paused", halted=True),
        waiting("three", 1, 0, subscription="a", partition=7, halted=True),
        waiting("four", 1, 0, subscription="a"),
    ]
    assert due(tasks, "a", paused=["paused"]).halted() == 2


def test_only_the_first_of_a_lane_counts() -> None:
    """Rule 8: more processes do not make one lane faster."""
    tasks = [waiting("l", n, 0, subscription="a") for n in range(5)]
    others = [waiting(f"other-{n}", 1, 0, subscription="b") for n in range(3)]
    assert due([*tasks, *others], "a", "b").count(NOW_MS) == 4


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lanes are due, and of however many subscriptions."""
    monkeypatch.setattr("hooklane.retrier.due_tasks._MOST", 50)
    monkeypatch.setattr("hooklane.retrier.due_tasks._MOST_ASKED", 2)
    many = [waiting(f"l{n}", 1, 0, subscription="a") for n in range(80)]
    assert due(many, "a").count(NOW_MS) == 50
    few = [waiting(f"{name}{n}", 1, 0, subscription=name) for name in "abcd" for n in range(3)]
    assert due(few, "a", "b", "c", "d").count(NOW_MS) == 3 + 3 + 1 + 1


async def test_a_spool_that_fails_does_not_end_the_counting() -> None:
    """Whatever it means is said by those who work with it."""

    class Failing(DueTasks):
        def __init__(self) -> None:
            self.asked = 0

        def count(self, now_ms: int) -> int:
            self.asked += 1
            if self.asked == 1:
                raise SpoolError("the disk is full")
            return 4

        def halted(self) -> int:
            return 2

    metrics = Metrics(Service.RETRIER)
    counting = asyncio.create_task(keep_counting(Failing(), metrics, HandClock(), 0.001))
    await until(lambda: metrics.backlog_due_tasks._value.get() == 4)
    await until(lambda: metrics.lanes_halted._value.get() == 2)
    counting.cancel()
    with suppress(asyncio.CancelledError):
        await counting
