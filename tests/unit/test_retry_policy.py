"""The retry policy: which tier, when, and when no more."""

import pytest

from hooklane.delivery.retry import GIVE_UP, GiveUp, Retry, RetryPolicy
from hooklane.schemas.topics import Delay

FAST, SLOW = Delay.parse("5s"), Delay.parse("30s")


@pytest.mark.parametrize(
    ("attempts", "not_before_ms", "expected"),
    [
        (1, None, Retry(FAST, 6_000)),
        (2, None, Retry(SLOW, 31_000)),
        (3, None, GIVE_UP),
        (1, 3_000, Retry(FAST, 6_000)),
        (1, 90_000, Retry(FAST, 90_000)),
    ],
)
def test_the_schedule_is_walked(
    attempts: int, not_before_ms: int | None, expected: Retry | GiveUp
) -> None:
    """One delay a retry, Retry-After only delays, and after the last entry it is given up."""
    assert RetryPolicy([FAST, SLOW]).next(attempts, not_before_ms, now_ms=1_000) == expected


def test_an_empty_schedule_gives_up_at_once() -> None:
    """A subscription may ask for one attempt only."""
    assert RetryPolicy([]).next(1, None, 0) is GIVE_UP
