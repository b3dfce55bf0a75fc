"""The names of Hooklane's own topics, the keys of their records, and how they must be made."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from hooklane.schemas.lane import LaneId

_DELAY = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LANE_ID = re.compile(r"[0-9a-f]{32}")
# One spelling of a number only: a tombstone under another one would not meet its task.
_TASK_KEY = re.compile(rb"([0-9a-f]{32}):(0|[1-9][0-9]{0,18})")


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
        found = _DELAY.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not a delay: "
                "write a whole number of up to nine digits and ms, s, m, h or d, such as 30s"
            )
        return cls(int(found[1]) * _MILLISECONDS[found[2]] / 1000, text)


def covers(topic: str, name: str) -> bool:
    """Whether a member of a group that subscribes to `topic` gets the topic `name`.

    As in librdkafka `topic` is a regular expression if it begins with `^`.
    """
    return re.match(topic, name) is not None if topic.startswith("^") else topic == name


def covered(name: str, topics: Iterable[str]) -> bool:
    """Whether one that subscribes to all of these gets it."""
    return any(covers(topic, name) for topic in topics)


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

    @property
    def audit(self) -> str:
        return f"{self.prefix}.audit"

    def retry(self, tier: Delay) -> str:
        return f"{self.prefix}.retry.{tier.text}"

    def all(self, tiers: tuple[Delay, ...]) -> Iterator[str]:
        yield self.subscriptions
        yield self.backlog
        yield self.lanes
        yield self.attempts
        yield self.dead_letters
        yield self.audit
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
    try:
        word, _, rest = key.decode().partition(":")
        kind = LaneKey(word)
    except ValueError:
        return None
    match kind:
        case LaneKey.BLOCKED | LaneKey.RELEASED:
            return (kind, rest) if _LANE_ID.fullmatch(rest) else None
        case LaneKey.LEDGER:
            return (kind, rest) if rest.count(":") >= 2 else None
        case _:
            assert_never(kind)


def task_key(lane: LaneId, sequence: int) -> bytes:
    """A backlog record's key. The sequence is the event's offset."""
    return f"{lane}:{sequence}".encode()


def split_task_key(key: bytes) -> tuple[LaneId, int] | None:
    """The lane and sequence of a backlog key, or None for a key no version here wrote."""
    found = _TASK_KEY.fullmatch(key)
    return None if found is None else (LaneId(found[1].decode()), int(found[2]))
