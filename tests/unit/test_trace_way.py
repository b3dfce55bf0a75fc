"""What became of an event for a subscription, from facts alone."""

from dataclasses import replace
from typing import Any

import pytest

from hooklane.fanout.match_explain import Objection
from hooklane.ops.lanes_view import TaskFacts, WaitingLane
from hooklane.ops.trace_consumed import Progress
from hooklane.ops.trace_way import Consumed, Fate, Waiting, Way, fate, why
from hooklane.retrier.standing import Standing
from hooklane.schemas.book import Entry
from hooklane.schemas.lane import subscriber_digest
from hooklane.schemas.records import AttemptOutcome, LedgerRecord, Partial, Span
from hooklane.schemas.subscription import validate
from hooklane.schemas.subscription_values import ServicePolicy
from tests.support.operator_facts import a_letter, an_attempt, lane_id

LANE = lane_id(1)
NOW_MS = 1_790_000_000_000
CONSUMED = Consumed("g", committed=10, settled=True, ahead=0)
FAILED = an_attempt(LANE, 5, NOW_MS - 9000)
DELIVERED = replace(
    FAILED, attempt=2, outcome=AttemptOutcome.DELIVERED, detail="the receiver answered 200 OK"
)
FILTER = Objection("match.filters[0]", "cel", "wants cel (data.x > 1)", "data.x = 0")
STATE = Objection("state", None, "takes nothing, it is disabled", "no other way")


def entry(**fields: Any) -> Entry:
    return Entry(validate({"id": "a", "url": "https://h.example/", **fields}, ServicePolicy()), 0)


def waiting(before: int, due_ms: int = NOW_MS + 5000, *, halted: bool = False) -> Waiting:
    """Behind task 3, whose one attempt failed."""
    facts = TaskFacts(
        sequence=3,
        subscription="a",
        uid="",
        run="",
        key=b"k",
        topic="events",
        partition=0,
        event_id="e-3",
        event_type="t",
        timestamp_ms=0,
        redirected_ms=0,
        standing=Standing(1, 0, due_ms, halted),
    )
    lane = WaitingLane(LANE, 3, [facts])
    lane.last = replace(FAILED, sequence=3)
    return Waiting(lane, before)


def way(**facts: Any) -> Way:
    known: dict[str, Any] = {
        "entry": entry(),
        "lane": LANE,
        "sequence": 5,
        "webhook_id": "msg_1",
        "objection": None,
        "consumed": CONSUMED,
        "settled": True,
    }
    return Way(**(known | facts))


LETTER = a_letter(LANE, 5, NOW_MS - 5000)
BEHIND = replace(CONSUMED, settled=False, ahead=7)


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (way(attempts=[FAILED, DELIVERED]), Fate.DELIVERED, "attempt 2: the receiver answered 200"),
        # What is on record counts, whatever the document has become since.
        (way(attempts=[DELIVERED], objection=FILTER), Fate.DELIVERED, "attempt 2"),
        (
            way(waiting=waiting(0)),
            Fate.WAITS,
            "first of its lane; attempts: 1, the last: ",
        ),
        (way(waiting=waiting(0)), Fate.WAITS, "next: 2026-09-21 14:13:25Z"),
        (
            way(waiting=waiting(2)),
            Fate.WAITS,
            "behind task 3 (e-3) and 1 more of its lane; attempts of that task: 1",
        ),
        (way(waiting=waiting(1, halted=True)), Fate.WAITS, "next: halted"),
        (way(waiting=waiting(0), entry=entry(state="paused")), Fate.WAITS, "next: paused"),
        (way(letter=LETTER, attempts=[FAILED]), Fate.DEAD_LETTER, "(exhausted): "),
        (
            way(letter=LETTER, attempts=[replace(FAILED, started_ms=NOW_MS, run="r-1")]),
            Fate.DEAD_LETTER,
            "; delivered again in r-1, attempt 1: the receiver answered 500",
        ),
        (
            way(letter=LETTER, attempts=[replace(DELIVERED, run="r-1")]),
            Fate.DELIVERED,
            "attempt 2, in r-1",
        ),
        (way(objection=FILTER), Fate.NOT_MATCHED, "match.filters[0]: wants cel (data.x > 1); "),
        (way(objection=STATE), Fate.DISCARDED, "state: takes nothing"),
        (way(settled=False, consumed=BEHIND), Fate.NOT_SETTLED, "has 7 offsets"),
        (way(settled=False), Fate.NOT_SETTLED, "is at this event now"),
        (
            way(settled=False, consumed=replace(BEHIND, ahead=None)),
            Fate.NOT_SETTLED,
            "has committed nothing here",
        ),
        (way(), Fate.UNKNOWN, "without an attempt on record"),
        (way(attempts=[FAILED]), Fate.UNKNOWN, "look again"),
    ],
)
def test_fates(found: Way, expected: Fate, said: str) -> None:
    """What is on record comes first, then what the documents say, then how far the fan-out is."""
    assert fate(found) is expected
    assert said in why(found, NOW_MS)


def test_settled_by_offset_by_ledger_and_by_subscriber() -> None:
    """Below the committed offset all is settled; above it what the ledger names, also alone."""
    digest = subscriber_digest("a", "")
    ledger = LedgerRecord("g", "t", "i", 0, 10, (Span(12, 13),), (Partial(15, (digest,)),))
    progress = Progress("g", 10, ledger)
    settled = [progress.consumed(offset).settled for offset in (9, 10, 12, 13, 14, 15)]
    assert settled == [True, False, True, True, False, False]
    assert progress.settled(15, entry())
    assert not progress.settled(15, entry(uid="another"))
    assert progress.consumed(14).ahead == 4
    assert Progress("g", None, None).consumed(0) == Consumed("g", None, settled=False, ahead=None)
