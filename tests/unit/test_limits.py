"""Rate limits: never above the rate, never saved up, and nothing lost to a late wake-up."""

from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.limits import Pace, RateLimits
from hooklane.schemas.subscription_values import RateLimit


def limit(count: int, per_s: float = 1.0) -> RateLimit:
    return RateLimit(count, per_s, f"{count}/{per_s:g}")


def starts(pace: Pace, *, seconds: float, step_s: float) -> list[float]:
    """When attempts start if one asks every `step_s` for as many as there may be."""
    found = []
    for turn in range(round(seconds / step_s)):
        now = turn * step_s
        while pace.wait_s(now) == 0:
            pace.start(now)
            found.append(now)
    return found


@given(
    st.integers(1, 300),
    st.sampled_from([1.0, 60.0, 3600.0]),
    st.lists(st.floats(0, 1.0), min_size=1, max_size=300),
    st.sampled_from([1.0, 0.5, 0.33]),
)
def test_no_window_sees_more_than_the_limit(
    count: int, per_s: float, pauses: list[float], share: float
) -> None:
    """However one asks, no `per_s` seconds see more starts than the limit, or the share of it."""
    pace, now, found = Pace(limit(count, per_s), share), 0.0, []
    for pause in pauses:
        now += pause * 3 * per_s / count
        while pace.wait_s(now) == 0:
            pace.start(now)
            found.append(now)
    for first in found:
        inside = [at for at in found if first <= at < first + per_s - 1e-6]
        assert len(inside) <= ceil(count * share)


@pytest.mark.parametrize("step_s", [0.001, 0.01, 0.019])
def test_a_late_wake_up_costs_nothing(step_s: float) -> None:
    """Woken every few milliseconds, a limit of 200 a second still lets nearly all of them start."""
    assert 190 <= len(starts(Pace(limit(200), 1.0), seconds=1.0, step_s=step_s)) <= 200


def test_nothing_is_saved_up() -> None:
    """After an hour of silence the first ones come one by one, not an hour's worth at once."""
    pace = Pace(limit(1000, 3600.0), 1.0)
    pace.start(0.0)
    found = []
    for second in range(3600, 3620):
        if pace.wait_s(second) == 0:
            pace.start(second)
            found.append(second)
    assert len(found) == 5
    assert min(later - earlier for earlier, later in pairwise(found)) >= 3


def test_wait_says_when() -> None:
    """The wait is until the first free moment, and for what stands behind others until theirs."""
    pace = Pace(limit(10), 1.0)
    pace.start(5.0)
    wait_s = pace.wait_s(5.0)
    assert 0.05 < wait_s < 0.11
    assert pace.wait_s(5.0 + wait_s) == pytest.approx(0.0, abs=1e-9)
    assert pace.wait_s(5.0, ahead=3) == pytest.approx(wait_s + 3 * 0.102)


def test_limits_are_each_subscriptions_own() -> None:
    """One at its limit says nothing about another; a new limit counts at once."""
    limits = RateLimits()
    limits.start("a", limit(1, 3600.0), 0.0)
    assert limits.wait_s("a", limit(1, 3600.0), 1.0) > 3500
    assert limits.wait_s("b", limit(1, 3600.0), 1.0) == 0
    assert limits.wait_s("a", limit(2, 3600.0), 1.0) == 0


def test_memory_is_bounded() -> None:
    """Paces that would say nothing any more are forgotten when there are many."""
    limits = RateLimits()
    for number in range(10_001):
        limits.start(f"s{number}", limit(1000), number * 1.0)
    assert len(limits._paces) < 10
    assert limits.wait_s("s10000", limit(1000), 10_000.0, ahead=100) > 0
