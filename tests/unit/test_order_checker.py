"""The checker of arrivals itself: what it must notice, and what it must let pass."""

import pytest

from tests.support.order import judge
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
