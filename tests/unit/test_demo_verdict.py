"""The demonstration's verdict: what is off at any receiver fails it, and is named."""

from dataclasses import replace

from hooklane.ops.demo_tally import Arrival, Tally
from hooklane.ops.demo_verdict import UNDISTURBED_S, Outcome, Verdict, judge

TROUBLE = (100.0, 104.0)


def delivered(*, refused_first: bool, took_s: float = 0.02) -> Tally:
    """One event that was published in the time of trouble and has come."""
    found = Tally()
    found.expect("a", "k", 101.0)
    found.published("a", 0)
    seen = Arrival("a", "k", 0, 1, verified=True, accepted=True, at_s=101.0 + took_s)
    if refused_first:
        found.arrive(replace(seen, accepted=False))
        seen = replace(seen, attempt=2)
    found.arrive(seen)
    return found


def healthy(**other: float) -> Outcome:
    return Outcome("well", delivered(refused_first=False, **other), 0, 0, None)


def troubled() -> Outcome:
    return Outcome("ill", delivered(refused_first=True), blocked=0, released=1, trouble_s=TROUBLE)


def verdict(*outcomes: Outcome) -> Verdict:
    return judge(1, outcomes, 12.0)


def test_a_good_end_passes_with_figures() -> None:
    """The figures of all receivers are added up."""
    found = verdict(healthy(), troubled())
    assert found.passed
    assert dict(found.lines) == {
        "Published": "1 events",
        "Delivered": "2 of 2: well 1, ill 1",
        "Retried": "1 requests, after 1 refusals",
        "Verified": "3 of 3 signatures",
        "Order": "kept in 2 lanes, a key at a receiver each",
        "Lanes": "1 blocked and released, 0 still blocked",
        "Undisturbed": "well: p50 20 ms, p95 20 ms while the others failed",
    }


def test_a_receivers_fault_fails_it_under_its_name() -> None:
    """One missing event at one receiver is enough."""
    ill = troubled()
    ill.tally.expect("b", "k", 102.0)
    found = verdict(healthy(), ill)
    assert found.faults == ("ill: 1 never came: b",)
    assert dict(found.lines)["Delivered"].startswith("2 of 3")


def test_broken_order_is_said_in_the_figures_too() -> None:
    """The line on the order says the opposite, not nothing."""
    ill = troubled()
    for name in ("b", "c"):
        ill.tally.expect(name, "k", 102.0)
    for number, name in ((2, "c"), (1, "b")):
        ill.tally.published(name, number)
        ill.tally.arrive(Arrival(name, "k", number, 1, verified=True, accepted=True, at_s=103.0))
    found = verdict(healthy(), ill)
    assert "c came out of turn" in found.faults[0]
    assert dict(found.lines)["Order"].startswith("BROKEN")


def test_a_lane_that_stays_blocked_fails_it() -> None:
    """Later events of that key would wait for ever."""
    found = verdict(healthy(), replace(troubled(), blocked=2))
    assert found.faults == ("ill: 2 lanes are still blocked",)


def test_a_trouble_that_showed_nothing_fails_it() -> None:
    """A demonstration in which nothing failed has not shown what it says."""
    found = verdict(healthy(), Outcome("ill", delivered(refused_first=False), 0, 0, TROUBLE))
    assert "nothing was refused, retried and released" in found.faults[0]


def test_a_disturbed_healthy_receiver_fails_it() -> None:
    """Slow while the others failed, or retried at all: isolation is part of the promise."""
    slow = verdict(healthy(took_s=UNDISTURBED_S + 0.1), troubled())
    assert "it is healthy, and 95 % of its events took up to 2100 ms" in slow.faults[0]
    retried = verdict(Outcome("well", delivered(refused_first=True), 0, 0, None), troubled())
    assert retried.faults == ("well: it is healthy, and 1 requests were retries",)
