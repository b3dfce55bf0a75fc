"""The spool in a file and the spool in memory, driven side by side."""

import copy
import shutil
import tempfile
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hooklane.retrier.spool import Checkpoint, Spool
from hooklane.retrier.spool_sqlite import open_spool
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.lane import LaneId
from tests.support.memory_spool import MemorySpool
from tests.support.spool_facts import lane, owed, stray, waiting

# A lane is of one partition and of one subscription.
_LANES = {"a": (0, "billing"), "b": (1, "billing"), "c": (0, "other"), "d": (2, "other")}
_TIERS = ("5s", "30s")

_small = st.integers(0, 4)
_names = st.sampled_from(sorted(_LANES))
_standings = st.builds(Standing, _small, _small, _small, st.booleans())
_tickets = st.none() | st.builds(TicketPlace, st.sampled_from(_TIERS), _small)


@st.composite
def _tasks(draw: st.DrawFn) -> Any:
    name = draw(_names)
    partition, subscription = _LANES[name]
    return waiting(
        name,
        draw(_small),
        partition=partition,
        subscription=subscription,
        timestamp_ms=draw(_small),
        standing=draw(_standings),
        record=draw(st.binary(max_size=4)),
        ticket=draw(_tickets),
    )


def _operation(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(name), st.tuples(*values))


_lane_ids = _names.map(lane)
_partitions = st.integers(0, 2)
_operations = st.one_of(
    _operation("add", _tasks()),
    _operation("remove", _lane_ids, st.lists(_small, max_size=4)),
    _operation("stand", _lane_ids, _small, _standings, _tickets),
    _operation("next_due"),
    _operation(
        "add_stray",
        st.builds(
            lambda name, at, offset: stray(name, at, offset, _LANES[name][0]),
            _names,
            _small,
            _small,
        ),
    ),
    _operation("take_strays", _lane_ids, _small),
    _operation("drop_strays", _partitions, st.integers(0, 12)),
    _operation("owe", st.builds(lambda name, at: owed(name, at, _LANES[name][0]), _names, _small)),
    _operation("paid", _lane_ids, _small),
    _operation(
        "save_checkpoint", st.builds(Checkpoint, _partitions, st.text(max_size=2), _small, _small)
    ),
    _operation("forget", st.sets(_partitions, max_size=2).map(sorted)),
)


class _StopError(Exception):
    pass


def _perform(spool: Spool, operation: tuple[str, tuple[Any, ...]]) -> object:
    name, values = operation
    return getattr(spool, name)(*values)


def _answers(spool: Spool) -> list[object]:
    """All that can be asked without changing anything."""
    lanes = [lane(name) for name in _LANES]
    told: list[object] = [spool.tasks(), spool.oldest_ms(), spool.mark(), spool.next_due()]
    told += [spool.halted([0]), spool.halted([0, 1, 2])]
    told += [spool.first(one) for one in lanes]
    told += [spool.highest(one) for one in lanes]
    for one, sequence in product(lanes, range(-1, 6)):
        told += [spool.get(one, sequence), spool.following(one, sequence, 1)]
        told.append(spool.following(one, sequence, 12))
    for subscription, limit in product(("billing", "other", "none"), (1, 9)):
        told += [spool.due(subscription, now_ms, limit) for now_ms in range(-1, 6)]
        told.append(spool.lanes_of(subscription, limit))
    for partition in range(3):
        told += [spool.halted_lanes(partition, after, 2) for after in (LaneId(""), *lanes)]
        told += [spool.owed(partition), spool.checkpoint(partition)]
        told += [spool.first_open_ticket(partition, tier) for tier in _TIERS]
    return told


class Twins(RuleBasedStateMachine):
    """Every answer of one is the other's, after every step."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.file = open_spool(self.folder, "twin")
        self.memory = MemorySpool()

    @rule(operation=_operations)
    def change(self, operation: tuple[str, tuple[Any, ...]]) -> None:
        assert _perform(self.file, operation) == _perform(self.memory, operation)

    @rule(operations=st.lists(_operations, max_size=6))
    def batch(self, operations: list[tuple[str, tuple[Any, ...]]]) -> None:
        with self.file.batch(), self.memory.batch():
            self.batch_content(operations)

    @rule(operations=st.lists(_operations, max_size=6))
    def broken_batch(self, operations: list[tuple[str, tuple[Any, ...]]]) -> None:
        before = self.memory.frozen()
        with suppress(_StopError), self.file.batch(), self.memory.batch():
            self.batch_content(operations)
            raise _StopError
        assert self.memory.frozen() == before

    def batch_content(self, operations: list[tuple[str, tuple[Any, ...]]]) -> None:
        for operation in operations:
            assert _perform(self.file, operation) == _perform(self.memory, operation)

    @rule()
    def reopen(self) -> None:
        self.file.close()
        self.file = open_spool(self.folder, "twin")

    @invariant()
    def say_the_same(self) -> None:
        assert _answers(self.file) == _answers(self.memory)

    def teardown(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
            shutil.rmtree(self.folder)


TestTwins = Twins.TestCase
TestTwins.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_copy_of_the_memory_spool_is_a_spool_of_its_own() -> None:
    """An explorer may copy a state, go on with the copy, and find the first one as it was."""
    spool = MemorySpool()
    spool.add(waiting("a", 1))
    spool.add_stray(stray("b", 1, 1))
    other = copy.deepcopy(spool)
    assert hash(other.frozen()) == hash(spool.frozen())
    assert other.frozen() == spool.frozen()
    other.remove(lane("a"), [1])
    assert other.frozen() != spool.frozen()
    assert spool.first(lane("a")) == waiting("a", 1)
