"""The log's lines about deliveries: one for an event that matters, none for a delivery."""

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from hooklane.delivery.attempt import Attempted, Attempter
from hooklane.delivery.attempt import Delivery as Attempting
from hooklane.delivery.circuit import Circuits, CircuitTerms
from hooklane.delivery.exchange import Response
from hooklane.delivery.journal import Journal
from hooklane.delivery.outcome import Outcome
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.redirect import Redirect, Share
from hooklane.fanout.told import tell
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.log_quota import LogQuota, QuotaTerms
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetterReason
from tests.support.engines import HandEngine, Vault, document
from tests.support.fanout_facts import (
    ACCEPTED,
    BLOCKED,
    BROKEN,
    GONE,
    PLACE,
    attempt_record,
    delivery,
    entry,
    event,
    rules,
)
from tests.support.retrier_facts import DELIVERED, FAILED, task
from tests.support.retrier_facts import GONE as GONE_AGAIN
from tests.support.retrier_loop import Shop

HALTING: dict[str, Any] = {"retry": {"schedule": [], "on_exhausted": "halt"}}
Line = dict[str, Any]


def told(share: Share, journal: Journal | None = None) -> list[Line]:
    """What the log gets of a share that is committed."""
    with capture_logs() as lines:
        tell(journal or Journal(lambda: 0.0), share)
    return [dict(line) for line in lines]


def ended(of: Delivery, outcome: Outcome, **fields: Any) -> Share:
    """The share of one attempt that ended so."""
    attempted = Attempted(outcome, attempt_record(of, outcome.kind))
    found = rules().ended(of, entry(**fields), attempted, 2_000)
    return Share(
        PLACE,
        of.sequence + 1,
        redirects=() if found.redirect is None else (found.redirect,),
        dead_letters=() if found.letter is None else (found.letter,),
        attempts=(found.record,),
        disablings=() if found.disabling is None else (found.disabling,),
    )


def test_a_failure_that_blocks_a_lane_is_one_line() -> None:
    """It says which delivery, what the receiver did, and where to look further."""
    [line] = told(ended(delivery(7, "a" * 32), BROKEN))
    assert line == {
        "event": "lane.blocked",
        "log_level": "warning",
        "subscription": "s",
        "lane": "a" * 32,
        "sequence": 7,
        "topic": "orders",
        "partition": 0,
        "event_id": "orders-0-7",
        "attempt": 1,
        "status": 500,
        "reason": "status",
        "detail": "the receiver answered 500",
    }


@pytest.mark.parametrize(
    ("outcome", "fields", "one_shot", "lines"),
    [
        (ACCEPTED, {}, False, []),
        (BROKEN, {}, True, ["delivery.redirected"]),
        (BROKEN, HALTING, False, ["lane.halted"]),
        (BLOCKED, {}, False, ["delivery.given_up"]),
        (GONE, {}, False, ["delivery.given_up", "subscription.disabled"]),
    ],
)
def test_a_line_for_what_matters(
    outcome: Outcome, fields: dict[str, Any], one_shot: bool, lines: list[str]
) -> None:
    """A delivery that arrives has none; everything that an operator may have to act on has one."""
    share = ended(delivery(7, one_shot=one_shot), outcome, **fields)
    assert [line["event"] for line in told(share)] == lines


def test_what_follows_into_the_backlog_has_no_line() -> None:
    """The first of its lane had it, or the circuit, or whoever paused the subscription."""
    assert told(Share(PLACE, 8, redirects=(Redirect(delivery(7)),))) == []


def test_a_dead_letter_says_why() -> None:
    """Also one without an attempt, by the event that it holds."""
    one = delivery(7)
    one.event.traceparent = f"00-{'a' * 32}-b7ad6b7169203331-01"
    letter = rules().letter(one, DeadLetterReason.DISABLED, 2_000)
    [line] = told(Share(PLACE, 8, dead_letters=(letter,)))
    assert (line["reason"], line["attempts"], line["event_id"]) == ("disabled", 0, "orders-0-7")
    assert line["trace"] == "a" * 32
    assert "status" not in line


def test_a_subscription_is_disabled_once() -> None:
    """Several attempts in flight hear the same 410; a newer document may be disabled again."""
    journal = Journal(lambda: 0.0)
    with capture_logs() as lines:
        for offset in (3, 3, 4):
            journal.disabled("s", offset, "the receiver answered 410 Gone")
    assert [line["offset"] for line in lines] == [3, 4]


def test_a_circuit_has_a_line_when_it_opens_and_when_it_closes() -> None:
    """Not when a probe fails: it is as open as before."""
    circuits = Circuits(CircuitTerms(threshold=2, cool_down_s=5.0))
    circuits.turned = Journal(lambda: 0.0).turned
    url = "https://hooks.example/x"
    with capture_logs() as lines:
        for lane in "abc":
            circuits.record(url, LaneId(lane), BROKEN, 0.0)
        circuits.permit(url, 6.0)
        circuits.record(url, LaneId("d"), BROKEN, 6.5)
        assert (circuits.is_open(url), circuits.count_open()) == (True, 1)
        circuits.permit(url, 60.0)
        circuits.record(url, LaneId("d"), ACCEPTED, 60.5)
    assert (circuits.is_open(url), circuits.count_open()) == (False, 0)
    assert [(line["event"], line["origin"], line["log_level"]) for line in lines] == [
        ("circuit.opened", "https://hooks.example:443", "warning"),
        ("circuit.closed", "https://hooks.example:443", "info"),
    ]


def lines_of(shop: Shop, outcomes: Sequence[Outcome]) -> list[str]:
    """A lane of the retrier whose attempts end like that, everything acknowledged in between."""
    with capture_logs() as lines:
        for number, outcome in enumerate(outcomes, 1):
            shop.redirect(task(number))
            shop.step()
            shop.receivers.end(task(number), outcome)
            for _ in range(3):
                shop.ack()
    return [str(line["event"]) for line in lines]


@pytest.mark.parametrize(
    ("outcome", "fields", "lines"),
    [
        (DELIVERED, {}, ["lane.released"]),
        (FAILED, {}, []),
        (FAILED, HALTING, ["lane.halted"]),
        (FAILED, {"retry": {"schedule": []}}, ["delivery.given_up", "lane.released"]),
        (GONE_AGAIN, {}, ["subscription.disabled", "delivery.given_up", "lane.released"]),
    ],
)
def test_the_retriers_lines(outcome: Outcome, fields: dict[str, Any], lines: list[str]) -> None:
    """A retry that fails has none: its lane is as blocked as before."""
    assert lines_of(Shop(entry(**fields)), [outcome]) == lines


async def test_an_attempt_that_failed_is_told_at_debug() -> None:
    """Only there, and one that arrived nowhere."""
    engine = HandEngine()
    attempter = Attempter(engine, Vault(), SystemClock(), "fanout")
    with capture_logs() as lines:
        for status in (204, 500):
            one = Attempting(LaneId("l"), 3, "msg", "", event(3), document(), 2)
            attempter.start(one, lambda _: None)
            engine.end(Response(status, (), b"", "127.0.0.1:1"))
    [line] = lines
    assert (line["event"], line["log_level"]) == ("attempt.failed", "debug")
    assert (line["status"], line["attempt"], line["sequence"]) == (500, 2, 3)


def test_a_storm_is_cut_down_and_counted() -> None:
    """A million lanes that are blocked at once do not hide the one line of somebody else."""
    now = [0.0]
    journal = Journal(lambda: now[0])
    with capture_logs() as lines:
        for sequence in range(1000):
            tell(journal, ended(delivery(sequence, f"lane-{sequence}"), BROKEN))
        journal.released("another", "l", 3)
        now[0] = 60.0
        tell(journal, ended(delivery(1000, "lane-x"), BROKEN))
    assert [line["event"] for line in lines] == [
        *["lane.blocked"] * 10,
        "lane.released",
        "lane.blocked",
    ]
    assert lines[-1]["unlogged"] == 990
    assert "unlogged" not in lines[0]


@pytest.mark.parametrize(
    ("taken", "allowed"),
    [
        ([("k", "a"), ("k", "a"), ("k", "a")], [0, 0, None]),
        ([("k", "a"), ("k", "a"), ("k", "b"), ("k", "c")], [0, 0, 0, None]),
        ([("k", "a"), ("k", "a"), ("k", "a"), ("k", "b")], [0, 0, None, 1]),
        ([("k", "a"), ("k", "a"), ("k", "a"), ("j", "a")], [0, 0, None, 0]),
    ],
)
def test_quotas(taken: list[tuple[str, str]], allowed: list[int | None]) -> None:
    """Two a subject and three of a kind: what is held back is told by the next of its kind."""
    quota = LogQuota(QuotaTerms(each=2, all=3, window_s=10.0))
    assert [quota.take(kind, subject, 0.0) for kind, subject in taken] == allowed


def test_a_new_window_begins_anew() -> None:
    """And says what the one before held back, once."""
    quota = LogQuota(QuotaTerms(each=1, all=3, window_s=10.0))
    asked = [quota.take("k", "a", now) for now in (0.0, 9.9, 10.0, 20.0)]
    assert asked == [0, None, 1, 0]
