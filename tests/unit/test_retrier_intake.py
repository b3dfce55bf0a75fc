"""From consumed records to the spool: what is taken, what is kept until later, what is left."""

import pytest

from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.codec import TASKS
from hooklane.schemas.topics import task_key
from tests.support.retrier_facts import (
    NEVER_MS,
    NOW_MS,
    UNREADABLE,
    Stand,
    attempts,
    lane_id,
    release,
    stand,
    task,
    ticket,
    waiting,
    words,
)


def standing_of(bench: Stand, sequence: int = 1) -> Standing:
    found = bench.spool.get(lane_id("l"), sequence)
    assert found is not None
    return found.standing


def test_a_task_is_kept_as_it_is_in_the_backlog() -> None:
    """Rule 7: the spool is a cache; its record is the backlog's value, byte for byte."""
    bench = stand()
    of = task(1, attempts=1, due_ms=5)
    bench.redirect(of, partition=3)
    assert bench.spool.get(of.lane, 1) == waiting(of, partition=3)


def test_a_task_of_a_run_is_as_old_as_its_run() -> None:
    """Rule 12: an event of last month that is replayed now does not count as waiting since then."""
    bench = stand()
    bench.redirect(task(1, run="01JD", redirected_ms=NOW_MS))
    assert bench.spool.oldest_ms() == NOW_MS


def test_a_ticket_before_its_task_waits_for_it() -> None:
    """Rule 8: tiers and backlog are read side by side; the ticket counts once the task is there."""
    bench = stand()
    of = task(1)
    bench.ticket_comes(ticket(of, 2, NEVER_MS), offset=9)
    assert bench.spool.first_open_ticket(0, "5s") == 9
    bench.redirect(of)
    assert standing_of(bench) == Standing(2, 0, NEVER_MS, halted=False)
    assert bench.start() == []
    assert bench.spool.first_open_ticket(0, "5s") == 9


def test_a_ticket_of_another_sequence_says_nothing_about_this_one() -> None:
    """Rule 8: a ticket is of one task of its lane."""
    bench = stand()
    bench.ticket_comes(ticket(task(2), 2, NEVER_MS))
    bench.redirect(task(1))
    assert words(bench.start()) == ["attempt 1"]


def test_a_ticket_of_a_resolved_task_raises_nothing() -> None:
    """Rule 8: kept apart until the backlog's end shows that its task is gone, then used up."""
    bench = stand()
    of = task(1)
    bench.redirect(of)
    bench.tombstone(1)
    bench.ticket_comes(ticket(of, 2, NOW_MS), offset=4)
    assert (bench.start(), bench.spool.tasks()) == ([], 0)
    assert bench.spool.first_open_ticket(0, "5s") == 4
    bench.spool.drop_strays(0, bench.spool.mark())
    assert bench.spool.first_open_ticket(0, "5s") is None


def test_a_lower_ticket_is_used_up() -> None:
    """Rule 7: what does not count does not hold its tier's offset back."""
    bench = stand()
    of = task(1)
    bench.redirect(of)
    bench.ticket_comes(ticket(of, 2, NEVER_MS), offset=7, tier="30s")
    bench.ticket_comes(ticket(of, 1, NOW_MS), offset=3)
    assert bench.spool.first_open_ticket(0, "30s") == 7
    assert bench.spool.first_open_ticket(0, "5s") is None


def test_a_ticket_that_counts_lets_the_lane_be_looked_at() -> None:
    """Rule 11: an operator's `retry` takes effect as soon as it is read."""
    bench = stand()
    of = task(1, attempts=1, due_ms=NEVER_MS)
    bench.redirect(of)
    assert bench.start() == []
    bench.ticket_comes(ticket(of, 1, NOW_MS, nudge=1))
    assert [one.number for one in attempts(bench.backlog.startable(NOW_MS))] == [2]


@pytest.mark.parametrize(
    "value", [b"", b"{}", UNREADABLE, TASKS.encode(task(1))[:-3], b"\xc3\x01short"]
)
def test_a_task_that_cannot_be_read_is_left_to_wait(value: bytes) -> None:
    """Rule 12: it stays with its bytes, is never attempted, and holds its lane."""
    bench = stand()
    bench.intake.backlog_record(0, task_key(lane_id("l"), 1), value)
    bench.redirect(task(2))
    assert bench.start() == bench.start() == []
    found = bench.spool.get(lane_id("l"), 1)
    assert found is not None
    assert (found.record, found.standing.halted) == (value, True)


@pytest.mark.parametrize("key", [None, b"", b"x:1", lane_id("l").encode(), b"\xff:1", b"l:01"])
def test_an_unknown_key_changes_nothing(key: bytes | None) -> None:
    """Bad input never stops the service: a key that no version wrote is passed over."""
    bench = stand()
    assert bench.intake.backlog_record(0, key, TASKS.encode(task(1))) == []
    assert bench.intake.backlog_record(0, key, None) == []
    assert bench.spool.tasks() == 0


@pytest.mark.parametrize("value", [None, b"", b"junk", UNREADABLE])
def test_a_ticket_that_cannot_be_read_changes_nothing(value: bytes | None) -> None:
    """Bad input never stops the service: the task goes on by what is known of it."""
    bench = stand()
    bench.redirect(task(1, attempts=1, due_ms=NOW_MS))
    bench.intake.ticket_record(0, TicketPlace("5s", 0), value)
    assert standing_of(bench) == Standing(1, 0, NOW_MS, halted=False)


def test_a_tombstone_passes_its_release_on() -> None:
    """Rule 9: reading may have something written."""
    bench = stand()
    bench.redirect(task(1))
    assert bench.tombstone(1) == [release(1)]
