"""How far a task is: the highest (attempts, nudge) holds, in whatever order it is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.retrier.standing import AT_ONCE, Standing, TicketPlace, of_task, of_ticket
from tests.support.retrier_facts import NOW_MS, lane_id, stand, task, ticket


@pytest.mark.parametrize(
    ("one", "other", "above"),
    [
        ((1, 0), (0, 0), True),
        ((0, 0), (1, 0), False),
        ((1, 1), (1, 0), True),
        ((2, 0), (1, 9), True),
        ((1, 9), (2, 0), False),
        ((1, 1), (1, 1), False),
    ],
)
def test_attempts_count_before_the_nudge(
    one: tuple[int, int], other: tuple[int, int], above: bool
) -> None:
    """Rule 8: the highest (attempts, nudge) holds; what is read once more is used up."""
    # The due times say the opposite of the ranks: they must not count.
    higher, lower = Standing(*one, 10, halted=False), Standing(*other, 99, halted=True)
    assert higher.is_above(lower) is above


@pytest.mark.parametrize(
    ("due_ms", "halted", "due"),
    [
        (AT_ONCE, False, True),
        (NOW_MS, False, True),
        (NOW_MS + 1, False, False),
        (AT_ONCE, True, False),
    ],
)
def test_when_a_standing_is_due(due_ms: int, halted: bool, due: bool) -> None:
    """Rule 8: never attempted is due at once, others at their time, halted ones never."""
    assert Standing(0, 0, due_ms, halted).is_due(NOW_MS) is due


@pytest.mark.parametrize(
    ("fields", "standing"),
    [
        ({}, Standing(0, 0, AT_ONCE, halted=False)),
        ({"attempts": 1, "due_ms": 7}, Standing(1, 0, 7, halted=False)),
        ({"attempts": 3, "due_ms": 7, "halted": True}, Standing(3, 0, 7, halted=True)),
    ],
)
def test_what_a_task_brings(fields: dict[str, Any], standing: Standing) -> None:
    """Rule 8: a task's own values count as a ticket without a nudge."""
    assert of_task(task(1, **fields)) == standing


def test_what_a_ticket_brings() -> None:
    """Rule 8: a ticket carries (attempts, nudge, due, halted), each into its own place."""
    read = of_ticket(ticket(task(1), 4, 9, nudge=2, halted=True))
    assert read == Standing(4, 2, 9, halted=True)


_RANKS = st.tuples(st.integers(0, 3), st.integers(0, 2))


@given(
    own=st.integers(0, 3),
    ranks=st.lists(_RANKS, unique=True, max_size=6).flatmap(st.permutations),
    before=st.integers(0, 6),
    again=st.lists(st.integers(0, 5), max_size=4),
)
def test_the_highest_holds_in_any_order(
    own: int, ranks: list[tuple[int, int]], before: int, again: list[int]
) -> None:
    """Rule 8: tickets before their task, after it, and read again leave the highest standing."""
    of = task(1, attempts=own, due_ms=NOW_MS)
    bench = stand()
    read = [*ranks, *(ranks[at] for at in again if at < len(ranks))]
    for number, (attempts, nudge) in enumerate(read):
        if number == before:
            bench.redirect(of)
        offset = ranks.index((attempts, nudge))
        due_ms = 1_000 * attempts + nudge
        bench.ticket_comes(ticket(of, attempts, due_ms, nudge=nudge), offset=offset)
    bench.redirect(of)
    found = bench.spool.get(lane_id("l"), 1)
    assert found is not None
    attempts, nudge = max([(own, 0), *ranks])
    if (attempts, nudge) == (own, 0):
        assert (found.standing, found.ticket) == (of_task(of), None)
    else:
        offset = ranks.index((attempts, nudge))
        assert found.standing == Standing(attempts, nudge, 1_000 * attempts + nudge, halted=False)
        assert found.ticket == TicketPlace("5s", offset)
