"""The gate: what may become of a task, by its subscription's document of this moment."""

from typing import Any

import pytest

from hooklane.retrier.gate import Stance, TaskGate, Verdict
from tests.support.fanout_facts import entry
from tests.support.receivers import OpenTo
from tests.support.retrier_facts import Documents, task

URL = "http://127.0.0.1:1/"


def gate(book: Documents, *, refused: bool = False, share: int = 100) -> TaskGate:
    return TaskGate(book, OpenTo(lambda url: refused and url == URL), share)


@pytest.mark.parametrize(
    ("fields", "verdict", "stance"),
    [
        ({}, Verdict.ATTEMPT, Stance.NORMAL),
        ({"state": "paused"}, Verdict.WAIT, Stance.HELD),
        ({"state": "disabled"}, Verdict.DISCARD, Stance.EMPTYING),
    ],
)
def test_by_the_documents_state(fields: dict[str, Any], verdict: Verdict, stance: Stance) -> None:
    """Section 6: active goes, paused waits in the backlog, disabled is discarded."""
    judge = gate(Documents(entry(**fields)))
    assert judge.judge(task(1))[0] is verdict
    assert judge.stance("s") is stance


def test_the_newest_document_is_the_one_to_go_by() -> None:
    """Section 3: the newest document of a subscription applies to what already waits."""
    book = Documents(entry(offset=0))
    book.put(offset=9, url="http://127.0.0.1:2/")
    assert gate(book).judge(task(1, config_offset=0)) == (Verdict.ATTEMPT, book.entry("s"))


@pytest.mark.parametrize(
    ("read_to", "verdict"), [(5, Verdict.WAIT), (6, Verdict.DISCARD), (7, Verdict.DISCARD)]
)
def test_deleted_once_the_book_has_read_past_the_tasks_document(
    read_to: int, verdict: Verdict
) -> None:
    """Rule 7: a subscription that the retrier has not read yet is no deleted one."""
    book = Documents()
    book.entries.clear()
    book.position = read_to
    assert gate(book).judge(task(1, config_offset=5)) == (verdict, None)


@pytest.mark.parametrize(("read_to", "verdict"), [(5, Verdict.WAIT), (6, Verdict.DISCARD)])
def test_one_made_again_is_another_one(read_to: int, verdict: Verdict) -> None:
    """Section 6: a `uid` other than the task's is a subscription deleted and made again."""
    book = Documents(entry(uid="another"))
    book.position = read_to
    assert gate(book).judge(task(1, config_offset=5))[0] is verdict


def test_gone_by_its_status_record() -> None:
    """Section 5: what waits for a receiver that said 410 goes to dead letters, not to nothing."""
    book = Documents(entry())
    book.say_gone()
    judge = gate(book)
    assert judge.judge(task(1))[0] is Verdict.GIVE_UP
    assert judge.stance("s") is Stance.EMPTYING


def test_gone_before_its_status_record_is_read_back() -> None:
    """Section 5: a 410 seen here counts at once, for the document that it judged only."""
    book = Documents(entry(offset=3))
    judge = gate(book)
    judge.gone["s"] = 3
    assert judge.judge(task(1))[0] is Verdict.GIVE_UP
    book.put(offset=4)
    assert judge.judge(task(1))[0] is Verdict.ATTEMPT
    assert judge.stance("s") is Stance.NORMAL


def test_disabled_by_its_operator_comes_before_gone() -> None:
    """Section 6: a disabled subscription's deliveries are discarded, whatever the receiver said."""
    book = Documents(entry(state="disabled"))
    book.say_gone()
    assert gate(book).judge(task(1))[0] is Verdict.DISCARD


def test_paused_and_gone_is_emptied() -> None:
    """Section 5: nothing will come of waiting for a receiver that wants no more."""
    book = Documents(entry(state="paused"))
    book.say_gone()
    assert gate(book).judge(task(1))[0] is Verdict.GIVE_UP


def test_an_open_circuit_holds() -> None:
    """An origin that is known to be dead is not tried for each of its lanes."""
    judge = gate(Documents(entry(), entry("t", url="http://127.0.0.1:2/")), refused=True)
    assert (judge.judge(task(1))[0], judge.stance("s")) == (Verdict.WAIT, Stance.HELD)
    assert judge.stance("t") is Stance.NORMAL


def test_an_unknown_subscription_is_looked_through_and_not_attempted() -> None:
    """Rule 7: its tasks are found, so that they are discarded once it is known to be deleted."""
    book = Documents()
    book.entries.clear()
    assert gate(book).stance("s") is Stance.EMPTYING


@pytest.mark.parametrize(
    ("share", "wanted", "limit"), [(100, 7, 7), (5, 7, 5)], ids=["the document's", "the share"]
)
def test_how_many_lanes_of_a_subscription_may_be_at_work(
    share: int, wanted: int, limit: int
) -> None:
    """Promise of isolation: `max_in_flight` of the document, and never more than its share."""
    book = Documents(entry(delivery={"max_in_flight": wanted}))
    assert gate(book, share=share).max_in_flight("s") == limit
    assert gate(book, share=share).max_in_flight("unknown") == share
