"""The independent checker: reads what receivers got, and says what was lost or out of order.

It knows nothing of Hooklane's code: a hit has a subscription (its path), a key, an event number in
the body, and the sequence and attempt headers that every request carries.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.webhook_sink import Hit


class Arrival(NamedTuple):
    """One request at a receiver.

    `settles`: the receiver answered it for good, by a 2xx or by a status that asks never to come
    again; `taken`: by a 2xx. `at`: seconds since the epoch, for who compares it with logs.
    """

    path: str
    key: str
    number: int
    taken: bool
    settles: bool
    at: float = 0.0


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
    """
    answers = iter(accepted) if accepted is not None else None
    arrivals = []
    for hit in hits:
        taken = answers is None or next(answers)
        number = int(json.loads(hit.body)["n"])
        arrivals.append(Arrival(hit.path.removeprefix("/"), hit.key, number, taken, taken))
    return judge_arrivals(arrivals, wanted)


def judge_arrivals(
    arrivals: Iterable[Arrival],
    wanted: Mapping[str, set[int]],
    unordered: Collection[str] = (),
) -> Verdict:
    """Whether all that is wanted was taken, and each key's in order.

    Within a key numbers only rise, but after a crash the newest ones may come again, in order and
    one by one: so a number may be at most one above the highest one settled before it, whether
    it is then taken or not. `unordered`: subscriptions that are promised no order.
    """
    verdict = Verdict()
    got: dict[str, set[int]] = defaultdict(set)
    order: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for one in arrivals:
        order[one.path, one.key].append(one)
        if one.taken:
            verdict.repeats += one.number in got[one.path]
            got[one.path].add(one.number)
    for path, numbers in wanted.items():
        verdict.missing |= {(path, number) for number in numbers - got[path]}
        verdict.unwanted |= {(path, number) for number in got[path] - numbers}
    for (path, key), arrived in order.items():
        if path not in unordered:
            verdict.inversions += _inversions(f"{path} {key}", arrived)
    return verdict


def _inversions(lane: str, arrived: list[Arrival]) -> Iterable[str]:
    """An attempt before an earlier number is settled; a repeat that skips; an old last word."""
    in_order = sorted({one.number for one in arrived})
    place = {number: at for at, number in enumerate(in_order)}
    highest = -1
    before = -1
    for one in arrived:
        at = place[one.number]
        if at > highest + 1:
            yield f"{lane}: {one.number} came before {in_order[highest + 1]} was settled"
        if not one.settles:
            continue
        if at <= highest and at > before + 1:
            yield f"{lane}: the repeat of {one.number} skipped {in_order[before + 1]}"
        highest = max(highest, at)
        before = at
    if before != highest:
        yield f"{lane}: the newest that was settled, {in_order[highest]}, is not the last"
