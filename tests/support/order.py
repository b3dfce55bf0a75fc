"""The independent checker: reads what receivers got, and says what was lost or out of order.

It knows nothing of Hooklane's code: a hit has a subscription (its path), a key, an event number in
the body, and the sequence and attempt headers that every request carries.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.webhook_sink import Hit


@dataclass
class Verdict:
    """`missing` and `unwanted` are (subscription, number); the others name subscription and key."""

    missing: set[tuple[str, int]] = field(default_factory=set)
    unwanted: set[tuple[str, int]] = field(default_factory=set)
    inversions: list[str] = field(default_factory=list)
    repeats: int = 0

    @property
    def in_order_and_complete(self) -> bool:
        return not (self.missing or self.unwanted or self.inversions)


def judge(
    hits: Iterable[Hit], wanted: Mapping[str, set[int]], accepted: Iterable[bool] | None = None
) -> Verdict:
    """`wanted`: the numbers of the events that each subscription's path must have got.

    `accepted` says of each hit whether the receiver answered 2xx; all did if it is not given.
    Within a key numbers only rise, but after a crash the newest ones may come again, in order and
    one by one: so a number may be at most one above the highest one accepted before it.
    """
    verdict = Verdict()
    got: dict[str, set[int]] = defaultdict(set)
    order: dict[tuple[str, str], list[int]] = defaultdict(list)
    answers = iter(accepted) if accepted is not None else None
    for hit in hits:
        number = int(json.loads(hit.body)["n"])
        path = hit.path.removeprefix("/")
        if answers is not None and not next(answers):
            continue
        if number in got[path]:
            verdict.repeats += 1
        got[path].add(number)
        order[path, hit.key].append(number)
    for path, numbers in wanted.items():
        verdict.missing |= {(path, number) for number in numbers - got[path]}
        verdict.unwanted |= {(path, number) for number in got[path] - numbers}
    for (path, key), arrived in order.items():
        verdict.inversions += _inversions(path, key, arrived)
    return verdict


def _inversions(path: str, key: str, numbers: list[int]) -> Iterable[str]:
    """A first arrival below an earlier one is an inversion; so is a repeat that skips."""
    in_order = sorted(set(numbers))
    place = {number: at for at, number in enumerate(in_order)}
    highest = -1
    before = -1
    for number in numbers:
        at = place[number]
        if at > highest + 1:
            yield f"{path} {key}: {number} came before {in_order[highest + 1]}"
        if at <= highest and at > before + 1:
            yield f"{path} {key}: the repeat of {number} skipped {in_order[before + 1]}"
        highest = max(highest, at)
        before = at
    if numbers and before != highest:
        yield f"{path} {key}: the newest success, {in_order[highest]}, is not the last"
