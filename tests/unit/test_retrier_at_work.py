"""The lanes at work: what is read ahead of them, and what is heard of twice."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hooklane.retrier.at_work import Work
from hooklane.retrier.commands import Attempt, Command
from hooklane.schemas.records import DeliveryTask
from tests.support.retrier_facts import (
    DELIVERED,
    NOW_MS,
    Stand,
    attempts,
    lane_id,
    stand,
    task,
    ticket,
    tombstones,
    words,
)

LANE = lane_id("l")


@dataclass(slots=True)
class Drain:
    """A lane of 2, 4, 6 and 8, of which 2 is delivered: 4 is attempted, 6 and 8 are read ahead."""

    bench: Stand
    current: Attempt
    first: Command
    """The tombstone of 2."""

    def goes_on(self) -> list[int]:
        """What is attempted behind 4, while all that is attempted is delivered."""
        said: list[int] = []
        going = [self.current]
        while going:
            going = attempts(self.bench.ends(going[0], DELIVERED))
            said += [one.task.sequence for one in going]
        return said


@pytest.fixture(name="drain")
def _drain() -> Drain:
    bench = stand()
    bench.redirect(*map(task, (2, 4, 6, 8)))
    [first] = attempts(bench.start())
    commands = bench.ends(first, DELIVERED)
    return Drain(bench, attempts(commands)[0], tombstones(commands)[0])


def halted(of: DeliveryTask) -> Callable[[Drain], object]:
    return lambda drain: drain.bench.ticket_comes(ticket(of, 9, NOW_MS, halted=True))


def test_the_next_tasks_are_read_ahead(drain: Drain) -> None:
    """Else what follows would prove nothing."""
    work = drain.bench.backlog._at_work.get(LANE)
    assert work is not None
    assert [one.sequence for one in work.ahead] == [4, 6, 8]


@pytest.mark.parametrize(
    ("happens", "attempted"),
    [
        pytest.param(lambda _: None, [6, 8], id="nothing"),
        pytest.param(lambda drain: drain.bench.redirect(task(5)), [5, 6, 8], id="a task between"),
        pytest.param(lambda drain: drain.bench.redirect(task(9)), [6, 8, 9], id="a task behind"),
        pytest.param(lambda drain: drain.bench.tombstone(6), [8], id="the next one skipped"),
        pytest.param(lambda drain: drain.bench.tombstone(8), [6], id="the last one skipped"),
        pytest.param(lambda drain: drain.bench.tombstone(2), [6, 8], id="our tombstone read"),
        pytest.param(lambda drain: drain.bench.ack(drain.first), [6, 8], id="our tombstone acked"),
        pytest.param(halted(task(6)), [], id="the next one halted"),
        pytest.param(halted(task(8)), [6], id="the last one halted"),
    ],
)
def test_what_is_read_meanwhile_counts(
    drain: Drain, happens: Callable[[Drain], object], attempted: list[int]
) -> None:
    """Promise of order and rule 11: what was read ahead is not gone by once it is out of date."""
    happens(drain)
    assert drain.goes_on() == attempted


@pytest.mark.parametrize("acked_first", [True, False])
def test_the_second_word_of_a_tombstone_is_not_looked_up(
    drain: Drain, monkeypatch: pytest.MonkeyPatch, acked_first: bool
) -> None:
    """A drain hears of each of its tombstones twice, and asks the spool once."""
    bench = drain.bench
    words_of_it: list[Callable[[], object]] = [
        lambda: bench.ack(drain.first),
        lambda: bench.tombstone(2),
    ]
    if not acked_first:
        words_of_it.reverse()
    words_of_it[0]()
    bench.backlog.settle()
    assert bench.spool.get(LANE, 2) is None

    def asked(*_: object) -> bool:
        raise AssertionError("the spool was asked")

    for name in ("get", "remove", "highest"):
        monkeypatch.setattr(type(bench.spool), name, asked)
    words_of_it[1]()


def test_a_task_that_comes_again_is_resolved_by_the_record(drain: Drain) -> None:
    """Rule 11: acknowledged, then redirected a second time before the tombstone is read: gone."""
    drain.bench.ack(drain.first)
    drain.bench.redirect(task(2))
    assert drain.bench.spool.get(LANE, 2) is not None
    drain.bench.tombstone(2)
    assert drain.bench.spool.get(LANE, 2) is None


def test_a_task_that_comes_again_behind_its_tombstone_is_another_one(drain: Drain) -> None:
    """Promise of durability: redirected anew after it was resolved, it waits for its own attempt,
    however long what was resolved stays in the spool."""
    drain.bench.ack(drain.first)
    drain.bench.tombstone(2)
    drain.bench.redirect(task(2))
    drain.bench.backlog.settle()
    assert drain.bench.spool.get(LANE, 2) is not None


@pytest.mark.parametrize("acked_first", [True, False])
def test_a_lane_is_released_whichever_word_comes_first(acked_first: bool) -> None:
    """Rule 9: once the last tombstone is acknowledged."""
    bench = stand()
    bench.redirect(task(1))
    [attempt] = attempts(bench.start())
    [tombstone] = tombstones(bench.ends(attempt, DELIVERED))
    read = [] if acked_first else bench.tombstone(1)
    assert words([*read, *bench.ack(tombstone)]) == ["release 1"]


def test_what_is_remembered_of_tombstones_is_bounded() -> None:
    """Promise of bounded memory, where the backlog is read far behind what is written."""
    work = Work(0, "s")
    for sequence in range(5_000):
        work.tombstone(sequence)
        work.acked(sequence)
    assert len(work.heard) == 1_000


def test_our_own_tasks_leave_the_spool_together(drain: Drain) -> None:
    """A drain removes a lane's tasks some at a time, and all that are resolved when asked to."""
    drain.bench.ack(drain.first)
    assert drain.bench.spool.get(LANE, 2) is not None
    drain.bench.backlog.settle()
    assert drain.bench.spool.get(LANE, 2) is None


def test_no_more_than_some_wait_to_leave_the_spool() -> None:
    """Promise of bounded memory, whenever the next checkpoint comes."""
    bench = stand()
    bench.redirect(*map(task, range(40)))
    going = attempts(bench.start())
    while going:
        commands = bench.ends(going[0], DELIVERED)
        going = attempts(commands)
        bench.ack(*tombstones(commands))
        unresolved = [one.task.sequence for one in going] or [40]
        assert bench.spool.tasks() - (40 - unresolved[0]) < 16
    assert bench.spool.tasks() == 0
