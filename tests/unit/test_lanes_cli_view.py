"""What is said of a waiting lane, and what `retry` and `skip` write."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from hooklane.ops.lanes_act import NewerTaskError, RecordPlace, retry_ticket, skip_letter
from hooklane.ops.lanes_selection import LaneSelection
from hooklane.ops.lanes_view import (
    WaitingLane,
    columns_for,
    known_task,
    lane_row,
    task_rows,
    ticket_row,
)
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import DEAD_LETTERS, TASKS
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetterReason, DeliveryTask, RetryTicket
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.operator_facts import an_attempt

LANE = LaneId("ab" * 16)
NOW_MS = 1_790_000_000_000
PLACE = RecordPlace("hooklane.backlog", "t", 3, 99)
DOCUMENT = b'{"id":"billing","url":"https://x.example/","uid":"u","tenant":"acme"%s}'


def a_task(**facts: object) -> DeliveryTask:
    attributes = {"specversion": "1.0", "id": "e-1", "source": "/s", "type": "order.paid"}
    event = Event("events", "t", 2, 7, 1000, b"c-1", attributes, "application/json", b"{}")
    task = DeliveryTask(
        lane=LANE,
        sequence=7,
        webhook_id="msg_1",
        subscription="billing",
        uid="u",
        run="",
        one_shot=False,
        group="g",
        event=event,
        config_offset=0,
        attempts=1,
        due_ms=NOW_MS + 5000,
        halted=False,
        redirected_ms=NOW_MS,
    )
    return replace(task, **facts)  # type: ignore[arg-type]


def a_lane(record: bytes | None = None, **facts: object) -> WaitingLane:
    value = TASKS.encode(a_task(**facts)) if record is None else record
    return WaitingLane(LANE, 4, [known_task(7, value)])


def a_ticket(attempts: int, nudge: int = 0, due_ms: int = 0, **facts: object) -> RetryTicket:
    ticket = RetryTicket(LANE, 7, "billing", attempts, nudge, due_ms, halted=False)
    return replace(ticket, **facts)  # type: ignore[arg-type]


def a_book(*records: tuple[bytes, bytes | None]) -> SubscriptionBook:
    book = SubscriptionBook(ServicePolicy())
    for offset, (key, value) in enumerate(records):
        book.read(offset, key, value)
    return book


ACTIVE = a_book((b"billing", DOCUMENT % b""))


def shown(lane: WaitingLane, book: SubscriptionBook = ACTIVE) -> Mapping[str, object]:
    return lane_row(lane, book, NOW_MS)


@pytest.mark.parametrize(
    ("tickets", "attempts", "nudge", "due_ms"),
    [
        ([], 1, 0, NOW_MS + 5000),
        ([a_ticket(1, due_ms=NOW_MS + 5000)], 1, 0, NOW_MS + 5000),
        ([a_ticket(2, due_ms=8), a_ticket(3, due_ms=9)], 3, 0, 9),
        ([a_ticket(3, due_ms=9), a_ticket(2, 5, due_ms=8)], 3, 0, 9),
        ([a_ticket(2, 1, due_ms=9), a_ticket(2, due_ms=8)], 2, 1, 9),
        ([a_ticket(9, due_ms=9, sequence=6), a_ticket(0, due_ms=1)], 1, 0, NOW_MS + 5000),
    ],
)
def test_the_highest_of_a_task_and_its_tickets_holds(
    tickets: list[RetryTicket], attempts: int, nudge: int, due_ms: int
) -> None:
    """Rule 8, whatever the order in which tiers are read; another task's tickets say nothing."""
    for order in (tickets, tickets[::-1]):
        lane = a_lane()
        for ticket in order:
            lane.take_ticket("5s", ticket)
        assert lane.standing is not None
        found = (lane.standing.attempts, lane.standing.nudge, lane.standing.due_ms)
        assert found == (attempts, nudge, due_ms)
        written = retry_ticket(lane, NOW_MS)
        assert (written.attempts, written.nudge) == (attempts, nudge + 1)
        assert (written.due_ms, written.halted, written.sequence) == (NOW_MS, False, 7)
        assert task_rows(lane)[0]["attempts"] == attempts


def test_the_open_ticket_is_the_one_that_holds() -> None:
    """A used-up ticket is not shown as open, nor is any where the task's own values hold."""
    lane = a_lane()
    lane.take_ticket("5s", a_ticket(0))
    assert ticket_row(lane) is None
    lane.take_ticket("30s", a_ticket(2, due_ms=NOW_MS))
    lane.take_ticket("5s", a_ticket(1))
    ticket = ticket_row(lane)
    assert ticket is not None
    assert (ticket["tier"], ticket["attempts"]) == ("30s", 2)


@pytest.mark.parametrize(
    ("book", "state", "following"),
    [
        (ACTIVE, "active", "time"),
        (a_book((b"billing", DOCUMENT % b',"state":"paused"')), "paused", "paused"),
        (a_book((b"billing", DOCUMENT % b',"state":"disabled"')), "disabled", "time"),
        (a_book(), "deleted", "time"),
        (a_book((b"billing", DOCUMENT.replace(b'"u"', b'"v"') % b"")), "deleted", "time"),
        (a_book((b"billing", b"{")), "bad", "time"),
    ],
)
def test_the_subscription_s_state(book: SubscriptionBook, state: str, following: str) -> None:
    """What the config topic says of the subscription that the task was made for."""
    row = shown(a_lane(), book)
    assert row["subscription_state"] == state
    assert row["next"] == (row["due"] if following == "time" else following)


@pytest.mark.parametrize(
    ("facts", "following"),
    [
        ({"due_ms": None, "attempts": 0}, "at once"),
        ({"due_ms": NOW_MS - 1}, "at once"),
        ({"halted": True, "due_ms": NOW_MS - 1}, "halted"),
    ],
)
def test_when_it_goes_in_a_word(facts: dict[str, object], following: str) -> None:
    """A time only where it is still to come."""
    row = shown(a_lane(None, **facts))
    assert row["next"] == following
    assert row["tenant"] == "acme"
    assert row["halted"] is (following == "halted")
    if facts["due_ms"] is None:
        assert row["due"] is None


def test_the_last_error_is_that_of_the_first_task() -> None:
    """An attempt of a delivery before it says nothing about what holds the lane up."""
    lane = a_lane()
    lane.take_attempt(an_attempt(LANE, 6, NOW_MS, detail="older"))
    assert shown(lane)["last_error"] is None
    lane.take_attempt(an_attempt(LANE, 7, NOW_MS, detail="", reason="timeout", status=None))
    assert shown(lane)["last_error"] == "timeout"


def test_a_skipped_task_keeps_its_payload_and_its_last_attempt() -> None:
    """The dead letter has what any other has, with the reason that an operator said so."""
    lane = a_lane()
    lane.take_ticket("5s", a_ticket(4))
    lane.take_attempt(an_attempt(LANE, 7, NOW_MS))
    letter = skip_letter(lane, TASKS.encode(a_task()), PLACE, NOW_MS)
    assert DEAD_LETTERS.decode(DEAD_LETTERS.encode(letter)) == letter
    assert (letter.reason, letter.attempts, letter.at_ms) == (DeadLetterReason.SKIPPED, 4, NOW_MS)
    assert (letter.event, letter.last_attempt) == (a_task().event, lane.last)


def test_what_a_newer_version_wrote_is_left_alone() -> None:
    """Neither retried nor given up by a version that cannot say what it is."""
    record = b"\xc3\x01newschem"
    lane = a_lane(record)
    assert "newer version" in str(shown(lane)["unreadable"])
    for act in (
        lambda: retry_ticket(lane, NOW_MS),
        lambda: skip_letter(lane, record, PLACE, NOW_MS),
    ):
        with pytest.raises(NewerTaskError, match="use the version"):
            act()


def test_a_broken_task_is_given_up_with_its_bytes() -> None:
    """It would block its lane for ever; nothing of it is lost."""
    letter = skip_letter(a_lane(b"rubbish"), b"rubbish", PLACE, NOW_MS)
    assert DEAD_LETTERS.decode(DEAD_LETTERS.encode(letter)) == letter
    assert (letter.value, letter.event, letter.subscription) == (b"rubbish", None, None)
    assert (letter.topic, letter.partition, letter.offset) == ("hooklane.backlog", 3, 99)
    assert "broken" in letter.detail


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (LaneSelection(), True),
        (LaneSelection("billing", frozenset({b"c-1"})), True),
        (LaneSelection("shipping"), False),
        (LaneSelection(among=frozenset({"billing", "shipping"})), True),
        (LaneSelection(among=frozenset({"shipping"})), False),
        (LaneSelection(keys=frozenset({b"c-2"})), False),
        (LaneSelection(halted=True), False),
        (LaneSelection(depth=4), True),
        (LaneSelection(depth=5), False),
        (LaneSelection(error="500 internal"), True),
        (LaneSelection(error="timeout"), False),
        (LaneSelection(due_by_ms=NOW_MS + 5000), True),
        (LaneSelection(due_by_ms=NOW_MS + 4999), False),
    ],
)
def test_which_lanes_are_meant(selection: LaneSelection, meant: bool) -> None:
    """By subscription, key, halt, depth, a part of the last error, and when it is tried again."""
    lane = a_lane()
    lane.take_attempt(an_attempt(LANE, 7, NOW_MS))
    found = selection.may_hold(lane) and selection.is_due(lane) and selection.has_error(lane)
    assert found == meant


def test_a_lane_without_a_known_error_or_time_is_of_no_such_selection() -> None:
    """What is not known is not guessed: neither tried within a time nor failed by a word."""
    unread = a_lane(b"rubbish")
    assert not LaneSelection(due_by_ms=NOW_MS).is_due(unread)
    assert not LaneSelection(error="500").has_error(a_lane())
    assert LaneSelection(error="500").needs_tasks
    assert not LaneSelection(depth=9, halted=True).needs_tasks


def test_a_run_is_shown_where_there_is_one() -> None:
    """What is replayed is told from what is live, and takes no room where there is nothing."""
    book = a_book()
    live, replayed = (lane_row(a_lane(run=run), book, NOW_MS) for run in ("", "01KB"))
    assert [one.field for one in columns_for([live])].count("run") == 0
    assert [one.field for one in columns_for([live, replayed])].count("run") == 1
    assert (live["run"], replayed["run"]) == (None, "01KB")
