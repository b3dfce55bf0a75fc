"""The draft: what one event partition puts into the next transaction, and in which order."""

from dataclasses import replace

from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.fanout.redirect import Disabling, Draft, Redirect, Ticket
from hooklane.fanout.settle import Settler
from hooklane.fanout.transaction import Layout, records
from hooklane.schemas.codec import LANES, LEDGERS, TASKS, TICKETS
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.records import DeadLetterReason, RetryTicket, Span
from hooklane.schemas.topics import TopicNames
from tests.support.fanout_facts import PLACE, TIERS, attempt_record, delivery

LAYOUT = Layout(TopicNames(), 12, "g")
SUBSCRIBER = b"12345678"
L, M = "1" * 32, "2" * 32


def draft_with(*offsets: int) -> tuple[Draft, Ledger, LaneTable]:
    ledger, lanes = Ledger(LedgerState(0)), LaneTable()
    draft = Draft(PLACE, ledger, lanes)
    for offset in offsets:
        ledger.admit(offset, [SUBSCRIBER])
    return draft, ledger, lanes


def ticket_for(sequence: int, lane: str) -> Ticket:
    record = RetryTicket(delivery(0, lane).lane, sequence, "s", 1, 0, 5_000, halted=False)
    return Ticket(TIERS[0], record)


def test_nothing_new_makes_no_transaction() -> None:
    """An idle partition costs nothing."""
    draft, _, _ = draft_with()
    assert draft.take(10) is None


def test_deliveries_that_succeed_make_one_share() -> None:
    """Rule 4: many settled deliveries are one commit, not one each."""
    draft, _, _ = draft_with(0, 1, 2)
    for sequence in range(3):
        draft.settle(delivery(sequence))
    share = draft.take(10)
    assert share is not None
    assert (share.offset, share.redirects, share.ledger) == (3, (), None)
    assert draft.take(10) is None


def test_a_redirect_is_settled_by_the_share_that_holds_it() -> None:
    """Rule 3: committed is settled, so the offset moves past the redirect in its transaction."""
    draft, _, lanes = draft_with(0)
    draft.redirect(Redirect(delivery(0, L)))
    assert lanes.is_blocked(delivery(0, L).lane)
    share = draft.take(10)
    assert share is not None
    assert share.offset == 1


def test_what_does_not_fit_stays_in_order_for_the_next_share() -> None:
    """A share is cut between deliveries: each has the highest sequence of what it holds."""
    draft, _, _ = draft_with(0, 1, 2)
    for sequence in range(3):
        draft.redirect(Redirect(delivery(sequence, L)))
    first = draft.take(2)
    assert first is not None
    assert ([one.sequence for one in first.blocked], first.offset) == ([1], 2)
    assert draft.urgent
    second = draft.take(2)
    assert second is not None
    assert ([one.sequence for one in second.blocked], second.offset) == ([2], 3)
    assert not draft.urgent


def test_the_ledger_is_written_only_when_it_changed() -> None:
    """Rule 4: a ledger record costs space in a compacted topic, so it needs a reason."""
    draft, _, _ = draft_with(0, 1, 2)
    draft.settle(delivery(1))
    first = draft.take(10)
    assert first is not None
    assert first.ledger == LedgerState(0, (Span(1, 1),))
    draft.attempted(attempt_record(delivery(0)))
    second = draft.take(10)
    assert second is not None
    assert second.ledger is None
    draft.settle(delivery(0))
    third = draft.take(10)
    assert third is not None
    assert third.ledger == LedgerState(2)


def test_a_ledger_with_nothing_in_it_is_a_tombstone() -> None:
    """When all above the committed offset is open again, the record goes away."""
    draft, _, _ = draft_with(0, 1)
    draft.settle(delivery(1))
    share = draft.take(10)
    assert share is not None
    values = [one.value for one in records(share, LAYOUT, 7)]
    assert LEDGERS.decode(values[-1] or b"").settled == (Span(1, 1),)
    draft.settle(delivery(0))
    share = draft.take(10)
    assert share is not None
    assert [one.value for one in records(share, LAYOUT, 7)] == [None]


def test_an_unreadable_record_is_in_the_dead_letters_before_its_offset_is_passed() -> None:
    """Section 4: it counts as settled, in the transaction that carries its dead letter."""
    draft, ledger, _ = draft_with()
    letter = Settler("g", TIERS).letter(delivery(0), DeadLetterReason.UNREADABLE, None, 7)
    draft.unreadable(replace(letter, subscription=None))
    ledger.admit(0, ())
    share = draft.take(10)
    assert share is not None
    assert (share.offset, len(share.dead_letters)) == (1, 1)


def test_the_records_of_a_share() -> None:
    """Rule 3 and 5: tombstones first, then `blocked`, then ledger, tasks and tickets, by lane."""
    draft, ledger, lanes = draft_with(3, 4, 5)
    lanes.redirect(delivery(1, L).lane, 1)
    lanes.release(delivery(1, L).lane, 1)
    draft.redirect(Redirect(delivery(3, L), 1, 5_000, ticket=ticket_for(3, L)))
    draft.redirect(Redirect(delivery(4, L)))
    draft.redirect(Redirect(delivery(5, M, one_shot=True)))
    draft.attempted(attempt_record(delivery(3, L)))
    draft.disable(Disabling("gone", 9, "410", 1_000))
    share = draft.take(10)
    assert share is not None
    written = list(records(share, LAYOUT, 7))
    at_l, at_m = lane_partition(delivery(0, L).lane, 12), lane_partition(delivery(0, M).lane, 12)
    assert [(one.topic, one.partition, one.key) for one in written] == [
        ("hooklane.lanes", 0, f"blocked:{L}".encode()),
        ("hooklane.lanes", 0, f"released:{L}".encode()),
        ("hooklane.lanes", 0, f"blocked:{L}".encode()),
        ("hooklane.backlog", at_l, f"{L}:3".encode()),
        ("hooklane.retry.5s", at_l, L.encode()),
        ("hooklane.backlog", at_l, f"{L}:4".encode()),
        ("hooklane.backlog", at_m, f"{M}:5".encode()),
        ("hooklane.attempts", at_l, L.encode()),
        ("hooklane.subscriptions", 0, b"gone/status"),
    ]
    assert [written[0].value, written[1].value] == [None, None]
    assert LANES.decode(written[2].value or b"").sequence == 4
    first = TASKS.decode(written[3].value or b"")
    assert (first.attempts, first.due_ms, first.event.offset) == (1, 5_000, 3)
    assert TICKETS.decode(written[4].value or b"").attempts == 1
    later = TASKS.decode(written[5].value or b"")
    assert (later.attempts, later.due_ms) == (0, None)
    assert ledger.committable == 6


def test_one_shot_lanes_write_no_lane_records() -> None:
    """Section 1: a lane of one delivery has nothing behind it that could be blocked."""
    draft, _, lanes = draft_with(0)
    draft.redirect(Redirect(delivery(0, M, one_shot=True)))
    share = draft.take(10)
    assert share is not None
    assert share.blocked == ()
    assert not lanes.is_blocked(delivery(0, M).lane)
