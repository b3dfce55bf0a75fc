"""The gate: what may become of the first delivery of a lane."""

from collections.abc import Collection
from datetime import UTC, datetime

import pytest

from hooklane.fanout.gate import LaneGate
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.schedule import Verdict
from hooklane.schemas.book import Entry
from hooklane.schemas.book_status import Status, StatusState
from tests.support.fanout_facts import PLACE, Book, delivery, entry
from tests.support.receivers import OpenTo

URL = "http://127.0.0.1:1/"
DISABLED = Status(StatusState.DISABLED, "410", 0, datetime(2026, 1, 1, tzinfo=UTC))


def gate(
    *entries: Entry, blocked: bool = False, refused: Collection[str] = (), share: int = 50
) -> LaneGate:
    lanes = LaneTable()
    if blocked:
        lanes.redirect(delivery(0).lane, 3)
    return LaneGate(Book(*entries), {PLACE: lanes}, OpenTo(lambda url: url in refused), share)


def judged_by_410(document: Entry) -> Entry:
    return Entry(document.subscription, document.offset, DISABLED)


@pytest.mark.parametrize(
    ("of", "verdict"),
    [
        pytest.param(gate(entry()), Verdict.ATTEMPT, id="nothing against it"),
        pytest.param(gate(), Verdict.DISCARD, id="deleted"),
        pytest.param(gate(entry(uid="other")), Verdict.DISCARD, id="deleted and made again"),
        pytest.param(gate(entry(state="disabled")), Verdict.DISCARD, id="disabled by its operator"),
        pytest.param(gate(entry(state="paused")), Verdict.REDIRECT, id="paused"),
        pytest.param(gate(judged_by_410(entry())), Verdict.GIVE_UP, id="gone by a 410"),
        pytest.param(
            gate(judged_by_410(entry(state="disabled"))), Verdict.DISCARD, id="gone and disabled"
        ),
        pytest.param(
            gate(judged_by_410(entry(state="paused"))), Verdict.GIVE_UP, id="gone and paused"
        ),
        pytest.param(gate(entry(), blocked=True), Verdict.REDIRECT, id="its lane is blocked"),
        pytest.param(
            gate(judged_by_410(entry()), blocked=True), Verdict.GIVE_UP, id="gone and blocked"
        ),
        pytest.param(gate(blocked=True), Verdict.DISCARD, id="deleted and blocked"),
        pytest.param(gate(entry(), refused=[URL]), Verdict.REDIRECT, id="its circuit is open"),
        pytest.param(gate(entry(), refused=["http://other/"]), Verdict.ATTEMPT, id="other circuit"),
    ],
)
def test_the_verdict_on_a_delivery(of: LaneGate, verdict: Verdict) -> None:
    """Rules 1 and 3 and section 5, by the newest document of the subscription."""
    assert of.judge(delivery(5)) is verdict


def test_one_shot_lanes_are_never_blocked() -> None:
    """Section 1: a one-shot lane writes no lane records, so it does not ask for any."""
    assert gate(entry(), blocked=True).judge(delivery(5, one_shot=True)) is Verdict.ATTEMPT


def test_another_lane_is_not_blocked() -> None:
    """Isolation: one poisoned key blocks no other key of its subscription."""
    assert gate(entry(), blocked=True).judge(delivery(5, "another")) is Verdict.ATTEMPT


def test_a_410_counts_here_before_its_status_record_does() -> None:
    """Section 5: what comes after a 410 goes to the dead letters; a newer document voids it."""
    document = entry(offset=7)
    book = Book(document)
    judge = LaneGate(book, {PLACE: LaneTable()}, OpenTo(), 50)
    judge.gone["s"] = 7
    assert judge.judge(delivery(5)) is Verdict.GIVE_UP
    book.entries["s"] = entry(offset=9)
    assert judge.judge(delivery(5)) is Verdict.ATTEMPT


@pytest.mark.parametrize(
    ("wanted", "share", "slots"), [(4, 50, 4), (64, 50, 50), (32, 1, 1), (32, 32, 32)]
)
def test_a_subscription_gets_its_slots_but_no_more_than_its_share(
    wanted: int, share: int, slots: int
) -> None:
    """Isolation: whatever a document asks for, it cannot take the process' slots from the rest."""
    document = entry(delivery={"max_in_flight": wanted})
    assert gate(document, share=share).max_in_flight("s") == slots


def test_a_subscription_that_has_gone_has_one_slot() -> None:
    """What is in flight of it ends; nothing new needs a place."""
    assert gate().max_in_flight("s") == 1
