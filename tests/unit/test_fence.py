"""The fence: whether this process may still believe that its partitions are its own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooklane.runtime.fence import SETTLES_S, Fence

SESSION_S, SETTLE_S = 9.0, 0.5
LIMIT_S = SESSION_S / 3

Polls = list[float]


@pytest.mark.parametrize(
    ("polls", "now", "is_open"),
    [
        pytest.param([], 0.0, True, id="at first"),
        pytest.param([], 2.9, True, id="the first poll is under way"),
        pytest.param([], 3.0, False, id="the first poll is stuck"),
        pytest.param([0.1, 0.2], 0.2, True, id="just polled"),
        pytest.param([0.1, 0.2], 3.1, True, id="less than a third ago"),
        pytest.param([1.0], 4.0, False, id="a third ago"),
        pytest.param([0.1, 0.2], 100.0, False, id="a stuck poll thread"),
        pytest.param([0.0, 3.0], 3.0, True, id="a gap of a third was no longer than that"),
        pytest.param([0.0, 3.1], 3.1, False, id="after a longer gap it is closed"),
        pytest.param([0.0, 3.1, 3.2, 3.3], 3.3, False, id="and further polls do not open it"),
        pytest.param([0.0, 3.1, 3.2, 3.5], 3.59, False, id="until the client has found out"),
        pytest.param([0.0, 3.1, 3.2, 3.5], 3.6, True, id="which takes that long"),
        pytest.param([0.0, 4.0, 4.4, 7.5], 7.6, False, id="a second gap closes it again"),
        pytest.param([0.0, 4.0, 4.4, 7.5], 8.0, True, id="and that settles too"),
    ],
)
def test_when_the_fence_is_open(polls: Polls, now: float, is_open: bool) -> None:
    """Self-fencing: open for a third of the session after a poll, and settled after a gap."""
    fence = Fence(SESSION_S, SETTLE_S, 0.0)
    for at in polls:
        fence.polled(at)
    assert fence.is_open(now) is is_open


@settings(deadline=None)
@given(
    gaps=st.lists(st.floats(0.0, 10.0), max_size=20),
    since=st.floats(0.0, 10.0),
)
def test_it_is_open_only_where_every_poll_of_late_was_in_time(
    gaps: list[float], since: float
) -> None:
    """Open at a moment means: no gap too long ended within the settling time before, and none
    is under way."""
    fence, now, late = Fence(SESSION_S, SETTLE_S, 0.0), 0.0, -SETTLE_S
    for gap in gaps:
        now, before = now + gap, now
        if now - before > LIMIT_S:
            late = now
        fence.polled(now)
    at = now + since
    assert fence.is_open(at) is (at - now < LIMIT_S and at >= late + SETTLE_S)


def test_a_process_that_settles_has_not_missed_its_next_poll() -> None:
    """The settling time is shorter than the shortest third of a session, or it never opened."""
    assert 0 < SETTLES_S < LIMIT_S
