"""The names of Hooklane's own topics, the keys of their records, and how they must be made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from hooklane.schemas.lane import LaneId

_DELAY = re.compile(r"^([1-9][0-9]*)(ms|s|m|h|d)$")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True, order=True)
class Delay:
    """A tier's delay. Equal and ordered by length; `text`, as it was written, names its topic."""

    seconds: float
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Delay":
        """Read `5s`, `30m`, `10h`, `250ms` or `1d`.

        Raises:
            ValueError: not a whole number above zero with one of those units.
        """
        found = _DELAY.match(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not a delay: write a whole number and ms, s, m, h or d, such as 30s"
            )
        return cls(int(found[1]) * _SECONDS[found[2]], text)


@dataclass(frozen=True, slots=True)
class TopicNames:
    """Every topic name, from the prefix that is a setting."""

    prefix: str = "hooklane"

    @property
    def subscriptions(self) -> str:
        return f"{self.prefix}.subscriptions"

    @property
    def backlog(self) -> str:
        return f"{self.prefix}.backlog"

    @property
    def lanes(self) -> str:
        return f"{self.prefix}.lanes"

    @property
    def attempts(self) -> str:
        return f"{self.prefix}.attempts"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}.dead-letters"

    def retry(self, tier: Delay) -> str:
        return f"{self.prefix}.retry.{tier.text}"

    def all(self, tiers: tuple[Delay, ...]) -> Iterator[str]:
        yield self.subscriptions
        yield self.backlog
        yield self.lanes
        yield self.attempts
        yield self.dead_letters
        yield from map(self.retry, tiers)


class LaneKey(Enum):
    """The kinds of record in the lanes topic; a record's key is `<kind>:<the rest>`."""

    BLOCKED = "blocked"
    RELEASED = "released"
    LEDGER = "ledger"


def blocked_key(lane: LaneId) -> bytes:
    return f"blocked:{lane}".encode()


def released_key(lane: LaneId) -> bytes:
    return f"released:{lane}".encode()


def ledger_key(group: str, topic_id: str, partition: int) -> bytes:
    """One ledger an event partition and group: two groups on one prefix do not share it."""
    return f"ledger:{group}:{topic_id}:{partition}".encode()


def split_lane_key(key: bytes) -> tuple[LaneKey, str] | None:
    """The kind and the rest of a lanes-topic key, or None for a key no version here wrote."""
    kind, found, rest = key.decode("utf-8", "replace").partition(":")
    if not found:
        return None
    try:
        return LaneKey(kind), rest
    except ValueError:
        return None


def task_key(lane: LaneId, sequence: int) -> bytes:
    """A backlog record's key. The sequence is the event's offset."""
    return f"{lane}:{sequence}".encode()


def split_task_key(key: bytes) -> tuple[LaneId, int] | None:
    """The lane and sequence of a backlog key, or None for a key no version here wrote."""
    lane, found, sequence = key.decode("utf-8", "replace").partition(":")
    if not found or not sequence.isascii() or not sequence.isdigit():
        return None
    return LaneId(lane), int(sequence)
