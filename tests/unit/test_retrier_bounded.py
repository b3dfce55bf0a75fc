"""Bounds that hold at any speed: neither what the retrier holds nor what SQLite does for a
delivery grows with the backlog."""

import re
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Attempt, Command, WriteTombstone
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.intake import Intake
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.spool import Waiting
from hooklane.retrier.spool_sqlite import SqliteSpool
from hooklane.retrier.spool_sqlite_file import SpoolFile
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.codec import TASKS
from hooklane.schemas.topics import task_key
from tests.support.fanout_facts import POLICY, entry
from tests.support.held import held
from tests.support.receivers import OpenTo
from tests.support.retrier_facts import DELIVERED, NOW_MS, Documents, attempt_record, lane_id, task

_IN_FLIGHT = 16
_FEW, _MANY = 4_000, 16_000
_DELIVERIES = 200
SHAPES = {"few lanes": 40, "a lane for each": _MANY}


class Drain:
    """The decisions on a spool in a file, with a backlog of `tasks` in `lanes` lanes."""

    def __init__(self, folder: Path, tasks: int, lanes: int) -> None:
        self.spool = SqliteSpool(SpoolFile(folder, f"{tasks}-{lanes}"))
        limits = {"max_in_flight": _IN_FLIGHT}
        self.gate = TaskGate(Documents(entry(delivery=limits)), OpenTo(), 100)
        self.resolver = Resolver(POLICY)
        self.backlog = Backlog(self.spool, self.gate, self.resolver, 100)
        self._in_flight: deque[Attempt] = deque()
        self._unacked: list[Waiting] = []
        self.most_held = 0
        intake = Intake(self.spool, self.backlog)
        with self.spool.batch():
            for number in range(tasks):
                of = task(number, f"lane {number % min(lanes, tasks)}")
                intake.backlog_record(0, task_key(of.lane, of.sequence), TASKS.encode(of))
        self.backlog.open(0)

    def begin(self) -> None:
        """As many attempts as there may be."""
        self.backlog.look(NOW_MS)
        self._carry_out(self.backlog.startable(NOW_MS))
        assert len(self._in_flight) == _IN_FLIGHT

    def deliver(self, count: int) -> None:
        """So many attempts end well; their tombstones are acknowledged in handfuls."""
        for _ in range(count):
            attempt = self._in_flight.popleft()
            record = attempt_record(attempt, DELIVERED)
            self._carry_out(self.backlog.attempted(attempt, DELIVERED, record, NOW_MS))
            self._carry_out(self.backlog.startable(NOW_MS))
            if len(self._unacked) == 8:
                self.ack()
            self.most_held = max(
                self.most_held, held(self.backlog, self.spool, self.gate, self.resolver)
            )

    def ack(self) -> None:
        unacked, self._unacked = self._unacked, []
        with self.spool.batch():
            for waiting in unacked:
                self._carry_out(self.backlog.tombstone_acked(waiting))

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Attempt):
                self._in_flight.append(command)
            elif isinstance(command, WriteTombstone):
                self._unacked.append(command.waiting)


@contextmanager
def draining(folder: Path, tasks: int, lanes: int) -> Iterator[Drain]:
    drain = Drain(folder, tasks, lanes)
    yield drain
    drain.spool.close()


def connection_of(spool: SqliteSpool) -> sqlite3.Connection:
    return spool._file._connection


@contextmanager
def counted(spool: SqliteSpool) -> Iterator[list[int]]:
    """Counts the instructions of SQLite's machine into the one item of the list."""
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    connection_of(spool).set_progress_handler(step, 1)
    yield steps
    connection_of(spool).set_progress_handler(None, 1)


@pytest.mark.parametrize("lanes", SHAPES.values(), ids=SHAPES)
def test_a_drain_holds_as_much_of_a_long_backlog_as_of_a_short_one(
    tmp_path: Path, lanes: int
) -> None:
    """Promise of bounded memory: tasks are read a slot each and lanes by the page, whatever
    waits."""
    most = []
    for tasks in (_FEW, _MANY):
        with draining(tmp_path, tasks, lanes) as drain:
            drain.begin()
            drain.deliver(_DELIVERIES)
            most.append(drain.most_held)
    assert most[1] <= most[0] * 1.05


@pytest.mark.parametrize("lanes", SHAPES.values(), ids=SHAPES)
def test_a_delivery_costs_the_spool_as_much_in_a_long_backlog_as_in_a_short_one(
    tmp_path: Path, lanes: int
) -> None:
    """Every statement of a drain finds its rows by an index and reads a bounded number of them."""
    costs = []
    for tasks in (_FEW, _MANY):
        with draining(tmp_path, tasks, lanes) as drain:
            drain.begin()
            with counted(drain.spool) as steps:
                drain.deliver(_DELIVERIES)
                drain.ack()
            costs.append(steps[0] / _DELIVERIES)
    assert costs[1] <= costs[0] * 1.05


@pytest.mark.parametrize("lanes", SHAPES.values(), ids=SHAPES)
def test_a_look_at_the_backlog_costs_the_same_however_long_it_is(
    tmp_path: Path, lanes: int
) -> None:
    """What is asked several times a second: what is due, the oldest event, the open tickets."""
    costs = []
    for tasks in (_FEW, _MANY):
        with draining(tmp_path, tasks, lanes) as drain, counted(drain.spool) as steps:
            drain.backlog.look(NOW_MS)
            assert drain.spool.oldest_ms() == 1_000
            assert drain.spool.first_open_ticket(0, "5s") is None
            costs.append(steps[0])
    assert costs[1] == costs[0]


def test_a_task_is_added_at_the_same_cost_behind_however_many(tmp_path: Path) -> None:
    """A restore of a long backlog is no slower by the task than one of a short backlog."""
    costs = []
    for tasks in (_FEW, _MANY):
        with draining(tmp_path, tasks, 40) as drain, counted(drain.spool) as steps:
            of = task(_MANY, "lane 7")
            drain.spool.add(
                Waiting(0, of.lane, of.sequence, "s", 1, Standing(0, 0, 0, halted=False), b"x")
            )
            costs.append(steps[0])
    assert costs[1] == costs[0]


def test_every_statement_of_a_drain_uses_an_index(tmp_path: Path) -> None:
    """SQLite's own plans, of triggers too: it goes through no table and sorts nothing."""
    with draining(tmp_path, _FEW, 40) as drain:
        connection = connection_of(drain.spool)
        said: list[str] = []
        connection.set_trace_callback(said.append)
        drain.begin()
        drain.deliver(_DELIVERIES)
        of = lane_id("lane 3")
        drain.spool.stand(of, 763, Standing(1, 0, NOW_MS, halted=False), TicketPlace("5s", 1))
        drain.spool.take_strays(of, 763)
        drain.spool.first_open_ticket(0, "5s")
        drain.spool.oldest_ms()
        drain.spool.owed(0)
        connection.set_trace_callback(None)
        statements = {text.removeprefix("-- ") for text in said}
        plans = {
            text: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
            for text in statements
            if re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)", text) and "NEW." not in text
        }
    assert len(plans) > 20
    bad = re.compile(r"SCAN (task|stray|owed)|TEMP B-TREE")
    assert {text: plan for text, plan in plans.items() if bad.search(" ".join(plan))} == {}
