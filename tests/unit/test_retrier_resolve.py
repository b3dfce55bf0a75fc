"""From an attempt's outcome to what is written next, by document and tiers."""

from dataclasses import replace

import pytest

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.resolve import Again, GivenUp, Resolved, Resolver, Verdict, letter_for
from hooklane.retrier.standing import Standing
from hooklane.schemas.records import AttemptOutcome, DeadLetterReason
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay
from tests.support.fanout_facts import POLICY, TIERS, entry
from tests.support.retrier_facts import (
    DELIVERED,
    FAILED,
    GONE,
    NOW_MS,
    REFUSED,
    task,
    waiting,
)

FIRST, SECOND = TIERS
HALT = {"on_exhausted": "halt"}
LATER = Outcome(AttemptOutcome.FAILED, "retry-after", "patience", 503, retry_after_s=7.25)


def again(tier: Delay, attempts: int, wait_s: float) -> Again:
    due_ms = NOW_MS + round(wait_s * 1000)
    return Again(tier, Standing(attempts, 0, due_ms, halted=False))


def halted(attempts: int) -> Again:
    return Again(SECOND, Standing(attempts, 0, NOW_MS, halted=True))


@pytest.mark.parametrize(
    ("retry", "made", "outcome", "verdict"),
    [
        ({}, 0, DELIVERED, Resolved()),
        ({}, 9, DELIVERED, Resolved()),
        ({}, 0, FAILED, again(FIRST, 1, 5)),
        ({}, 1, FAILED, again(SECOND, 2, 30)),
        ({}, 2, FAILED, GivenUp(DeadLetterReason.EXHAUSTED)),
        (HALT, 2, FAILED, halted(3)),
        (HALT, 1, FAILED, again(SECOND, 2, 30)),
        ({"schedule": ["5s", "5s", "5s"]}, 2, FAILED, again(FIRST, 3, 5)),
        ({"schedule": []}, 0, FAILED, GivenUp(DeadLetterReason.EXHAUSTED)),
        ({}, 0, LATER, again(FIRST, 1, 7.25)),
        ({}, 1, LATER, again(SECOND, 2, 30)),
        ({}, 2, LATER, GivenUp(DeadLetterReason.EXHAUSTED)),
        ({}, 0, REFUSED, GivenUp(DeadLetterReason.REFUSED)),
        (HALT, 0, REFUSED, halted(1)),
        ({}, 0, GONE, GivenUp(DeadLetterReason.DISABLED, gone=True)),
        (HALT, 0, GONE, GivenUp(DeadLetterReason.DISABLED, gone=True)),
    ],
)
def test_verdicts(retry: dict[str, object], made: int, outcome: Outcome, verdict: Verdict) -> None:
    """Rule 10, and section 5 for Retry-After and 410: what follows each outcome."""
    of = waiting(task(1, attempts=made))
    judged = Resolver(POLICY).judge(of, entry(retry=retry), outcome, NOW_MS)
    assert judged == verdict


def test_a_halted_ticket_goes_where_it_is_kept_longest() -> None:
    """Rule 10: the tier of a halted ticket is the longest, in whatever order tiers are set."""
    policy = ServicePolicy(tiers=(SECOND, FIRST), allow_http=True)
    verdict = Resolver(policy).judge(
        waiting(task(1)), entry(retry=HALT | {"schedule": []}), FAILED, NOW_MS
    )
    assert verdict == halted(1)


def test_an_operators_nudge_does_not_count_as_an_attempt() -> None:
    """Rule 11: after a `retry` that failed, the schedule goes on, and the ticket stands above."""
    nudged = Standing(1, 3, NOW_MS, halted=False)
    of = replace(waiting(task(1, attempts=1)), standing=nudged)
    verdict = Resolver(POLICY).judge(of, entry(), FAILED, NOW_MS)
    assert verdict == again(SECOND, 2, 30)
    assert isinstance(verdict, Again)
    assert verdict.standing.is_above(nudged)


def test_a_dead_letter_holds_the_whole_delivery() -> None:
    """Section 1: a delivery given up, with its payload; without an attempt it says no more."""
    of = task(5, run="r1")
    letter = letter_for(of, DeadLetterReason.DISABLED, None, 3, NOW_MS)
    assert (letter.lane, letter.sequence, letter.webhook_id) == (of.lane, 5, of.webhook_id)
    assert (letter.subscription, letter.uid, letter.run, letter.group) == ("s", "u", "r1", "g")
    assert (letter.reason, letter.attempts, letter.at_ms) == (DeadLetterReason.DISABLED, 3, NOW_MS)
    assert letter.event == of.event
    assert letter.last_attempt is None
