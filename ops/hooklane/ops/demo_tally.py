"""What one receiver should get, and what it saw. Pure: it is told what was published and what came.

Nothing is taken on trust from Hooklane: the deliveries are counted where they arrived, and the
order is judged by the events of a key as they were published, and by `hooklane-sequence`, which
has to be the offset that Kafka gave the publisher.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MOST_FAULTS = 5
"""Faults of one kind that are told; the others are counted."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request at a receiver. `at_s`: monotonic seconds."""

    event_id: str
    key: str
    sequence: int
    attempt: int
    verified: bool
    accepted: bool
    at_s: float


@dataclass(slots=True)
class _Expected:
    """An event: its key, when it was published, its offset, and the sequence it came with."""

    key: str
    sent_s: float
    offset: int | None = None
    sequence: int | None = None


class Tally:
    """What one receiver should get, and what it has got."""

    def __init__(self) -> None:
        self._events: dict[str, _Expected] = {}
        self._of_key: dict[str, list[str]] = defaultdict(list)
        self._accepted_of_key: dict[str, list[str]] = defaultdict(list)
        self._refused_of_key: dict[str, tuple[int, str]] = {}
        self._latencies: list[tuple[float, float]] = []
        self._disorder: list[str] = []
        self._wrong_key: list[str] = []
        self._unverified: list[str] = []
        self.requests = 0
        self.verified = 0
        self.retried = 0
        self.refused = 0
        self.repeated = 0
        self.strangers = 0

    def expect(self, event_id: str, key: str, sent_s: float) -> None:
        """An event that this receiver wants is about to be published."""
        self._events[event_id] = _Expected(key, sent_s)
        self._of_key[key].append(event_id)

    def published(self, event_id: str, offset: int) -> None:
        """Kafka has it, at this offset."""
        if event_id in self._events:
            self._events[event_id].offset = offset

    def arrive(self, one: Arrival) -> None:
        """A request came, and was answered."""
        self.requests += 1
        if not one.verified:
            self._unverified.append(one.event_id)
            return
        self.verified += 1
        expected = self._events.get(one.event_id)
        if expected is None:
            self.strangers += 1
            return
        self.retried += one.attempt > 1
        if one.key != expected.key:
            self._wrong_key.append(one.event_id)
        self._judge_order(one)
        if one.accepted:
            self._accept(one, expected)
        else:
            self.refused += 1
            self._refused_of_key[one.key] = (one.sequence, one.event_id)

    def _judge_order(self, one: Arrival) -> None:
        """Before a refused event has come again and was accepted, no later one of its key may."""
        sequence, event_id = self._refused_of_key.get(one.key, (one.sequence, one.event_id))
        if one.sequence > sequence:
            self._disorder.append(f"{one.event_id} overtook {event_id}")

    def _accept(self, one: Arrival, expected: _Expected) -> None:
        refused = self._refused_of_key.get(one.key)
        if refused is not None and refused[0] <= one.sequence:
            del self._refused_of_key[one.key]
        if expected.sequence is not None:
            self.repeated += 1
            return
        expected.sequence = one.sequence
        done = self._accepted_of_key[expected.key]
        if self._of_key[expected.key][len(done)] != one.event_id:
            self._disorder.append(f"{one.event_id} came out of turn")
        done.append(one.event_id)
        self._latencies.append((expected.sent_s, one.at_s - expected.sent_s))

    @property
    def expected(self) -> int:
        return len(self._events)

    @property
    def delivered(self) -> int:
        """Events accepted at least once."""
        return len(self._latencies)

    @property
    def waiting(self) -> int:
        return self.expected - self.delivered

    @property
    def lanes(self) -> int:
        """Keys that this receiver gets events of."""
        return len(self._of_key)

    @property
    def in_order(self) -> bool:
        return not self._disorder

    def latency_s(self, share: float, sent_s: tuple[float, float] | None = None) -> float | None:
        """From publishing to the 2xx, for this share of the events; None if there are none.

        `sent_s`: only the events that were published between these monotonic seconds.
        """
        begin, end = sent_s or (float("-inf"), float("inf"))
        found = sorted(took for sent, took in self._latencies if begin <= sent < end)
        return found[min(int(len(found) * share), len(found) - 1)] if found else None

    def faults(self) -> list[str]:
        """What is off, a sentence each; empty if all is well."""
        events = self._events.items()
        missing = [name for name, one in events if one.sequence is None]
        # Asked for at the end: Kafka may tell an offset after the event has been delivered.
        wrong = [name for name, one in events if one.sequence not in {None, one.offset}]
        return [
            *_said("never came", missing),
            *_said("not in order", [*self._disorder, *self._not_rising()]),
            *_said("without a valid signature", self._unverified),
            *_said("with another key than the one they were published with", self._wrong_key),
            *_said("with a hooklane-sequence that is not Kafka's offset", wrong),
        ]

    def _not_rising(self) -> list[str]:
        """Events whose `hooklane-sequence` is not above the one before of their key."""
        return [
            f"{name} has a sequence that is not above that of {before}"
            for names in self._accepted_of_key.values()
            for before, name in pairwise(names)
            if (self._events[name].sequence or 0) <= (self._events[before].sequence or 0)
        ]


def _said(what: str, names: Sequence[str]) -> Iterable[str]:
    if names:
        more = f" and {len(names) - MOST_FAULTS} more" if len(names) > MOST_FAULTS else ""
        yield f"{len(names)} {what}: {', '.join(names[:MOST_FAULTS])}{more}"
