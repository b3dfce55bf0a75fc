"""The checker of arrivals itself: what it must notice, and what it must let pass."""

import pytest

from tests.support.order import Arrival, judge, judge_arrivals
from tests.support.webhook_sink import Hit


def hits(*numbers: int) -> list[Hit]:
    return [Hit("/a", {"ce-partitionkey": "k"}, b'{"n":%d}' % n, 0.0) for n in numbers]


@pytest.mark.parametrize(
    ("numbers", "inversions", "repeats", "missing"),
    [
        ((1, 2, 3), 0, 0, 0),
        ((1, 2, 2, 3), 0, 1, 0),
        ((1, 2, 1, 2, 3), 0, 2, 0),
        ((1, 3, 2), 2, 0, 0),
        ((1, 2, 3, 1, 3), 1, 2, 0),
        ((1, 2, 3, 2), 1, 1, 0),
        ((1, 3), 0, 0, 1),
    ],
)
def test_what_is_noticed(
    numbers: tuple[int, ...], inversions: int, repeats: int, missing: int
) -> None:
    """Gaps, inversions, repeats that skip, and a last word that is not the newest."""
    verdict = judge(hits(*numbers), {"a": {1, 2, 3}})
    found = (len(verdict.inversions), verdict.repeats, len(verdict.missing))
    assert found == (inversions, repeats, missing)


def arrivals(*told: str) -> list[Arrival]:
    """`2` is taken, `2-` fails, `2x` is refused for good."""
    return [
        Arrival("a", "k", int(one[0]), taken=one[1:] == "", settles=one[1:] != "-") for one in told
    ]


@pytest.mark.parametrize(
    ("told", "inversions"),
    [
        (("1", "2-", "2-", "2", "3"), 0),
        (("1", "2-", "3"), 1),
        (("1", "2-", "3-", "2", "3"), 1),
        (("1", "2x", "3"), 0),
        (("1", "2", "1", "2-", "2", "3"), 0),
    ],
)
def test_an_attempt_comes_only_after_all_before_it_are_settled(
    told: tuple[str, ...], inversions: int
) -> None:
    """Also one that fails may not come too early; what is refused for good holds up nobody."""
    numbers = {int(one[0]) for one in told if "x" not in one}
    verdict = judge_arrivals(arrivals(*told), {"a": numbers})
    assert len(verdict.inversions) == inversions, verdict


def test_who_is_promised_no_order_is_judged_by_what_arrived() -> None:
    """Without ordering only what is missing counts."""
    verdict = judge_arrivals(arrivals("3", "1"), {"a": {1, 2, 3}}, unordered=["a"])
    assert (verdict.inversions, verdict.missing) == ([], {("a", 2)})
