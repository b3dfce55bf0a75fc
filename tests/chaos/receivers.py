"""Receivers with moods: what each subscription's receiver does, and the log that is judged."""

import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from tests.support.order import Arrival
from tests.support.site import Site
from tests.support.webhook_sink import Answer, Ending, Hit, WebhookSink

TIMEOUT_S = 1.0
_SCHEDULE = ["1s", "2s", *["4s"] * 60]
_SICK_S = 8.0
_TURN_S = 20.0

SUBSCRIPTIONS: Mapping[str, Mapping[str, object]] = {
    "steady": {},
    "moody": {"delivery": {"timeout": "1s", "connect_timeout": "1s"}},
    "sick": {},
    "strict": {"retry": {"schedule": _SCHEDULE, "give_up_on": [422]}},
    "loose": {"ordering": "none", "delivery": {"timeout": "1s", "connect_timeout": "1s"}},
}
UNORDERED = ("loose",)
TIERS = ("1s", "2s", "4s")

BAD_ANSWERS = (
    Answer(500),
    Answer(503),
    Answer(404),
    Answer(429, (("retry-after", "1"),)),
    Answer(ending=Ending.RESET),
    Answer(ending=Ending.HALF),
    Answer(ending=Ending.NEVER),
    Answer(after_s=TIMEOUT_S + 0.5),
)
CLEAR_ANSWERS = tuple(answer for answer in BAD_ANSWERS if not answer.after_s)
"""Without the one that a receiver takes and nobody hears of: what that asks for is a repeat."""


def is_refused_for_good(number: int) -> bool:
    """Which events `strict` never wants."""
    return number % 50 == 7


class Moods:
    """Answers each request, and remembers it. Called in the sink's thread.

    `steady` accepts all; `moody` and `loose` answer one request in seven badly, in every way there
    is; `sick` refuses all for 8 s of each 20; `strict` refuses some events for good. Events with
    a negative number are ballast: refused by all until they are well, and not remembered.
    """

    def __init__(
        self,
        seed: int,
        names: Collection[str] = tuple(SUBSCRIPTIONS),
        bad: Sequence[Answer] = BAD_ANSWERS,
    ) -> None:
        """`names`: the subscriptions that there are; `bad`: how `moody` and `loose` fail."""
        self._chance = random.Random(seed)
        self._names = names
        self._bad = bad
        self._began = time.monotonic()
        self.well = False
        """While it is set all accept what they will ever accept."""
        self._got: dict[str, set[int]] = defaultdict(set)
        self.arrivals: list[Arrival] = []
        self.answers: Counter[str] = Counter()

    def have_all(self, events: int) -> bool:
        """Whether each has got all that it is to get of the first `events`."""
        return not any(self._lacking(events).values())

    def lacking(self, events: int) -> Mapping[str, list[int]]:
        """A few of what is still to come, for a message."""
        return {name: sorted(numbers)[:10] for name, numbers in self._lacking(events).items()}

    def _lacking(self, events: int) -> Mapping[str, set[int]]:
        return {
            name: numbers - self._got[name] for name, numbers in wanted(events, self._names).items()
        }

    def __call__(self, hit: Hit) -> Answer:
        name, number = hit.path.removeprefix("/"), int(json.loads(hit.body)["n"])
        if number < 0:
            return Answer(200 if self.well else 503)
        answer = self._answer(name, number)
        taken = answer.status == 200 and answer.ending is Ending.WHOLE
        settles = taken or answer.status == 422
        self.answers[_name(answer)] += 1
        self.arrivals.append(Arrival(name, hit.key, number, taken, settles, time.time()))
        if taken:
            self._got[name].add(number)
        return answer

    def _answer(self, name: str, number: int) -> Answer:
        if name == "strict" and is_refused_for_good(number):
            return Answer(422)
        if self.well:
            return Answer()
        if name in {"moody", "loose"} and self._chance.random() < 1 / 7:
            return self._chance.choice(self._bad)
        if name == "sick" and (time.monotonic() - self._began) % _TURN_S < _SICK_S:
            return Answer(503)
        return Answer()


def _name(answer: Answer) -> str:
    if answer.ending is not Ending.WHOLE:
        return str(answer.ending.value)
    return f"{answer.status} too late" if answer.after_s else str(answer.status)


def wanted(events: int, names: Collection[str] = tuple(SUBSCRIPTIONS)) -> dict[str, set[int]]:
    """By subscription: the numbers that its receiver must have taken in the end."""
    every = set(range(events))
    refused = set(filter(is_refused_for_good, every))
    return {name: every - refused if name == "strict" else every for name in names}


def refused_for_good(events: int) -> set[int]:
    """The numbers that must be in the dead letters."""
    return set(filter(is_refused_for_good, range(events)))


def subscribe_all(
    site: Site, sink: WebhookSink, names: Collection[str] = tuple(SUBSCRIPTIONS)
) -> None:
    for name in names:
        fields = {"retry": {"schedule": _SCHEDULE}, **SUBSCRIPTIONS[name]}
        site.subscribe(name, sink.url(name), **fields)
