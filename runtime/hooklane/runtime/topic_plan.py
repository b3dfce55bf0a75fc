"""How each of Hooklane's own topics must be made. Pure: nothing here asks Kafka.

A setting of a topic is wanted in one of four ways: exactly so, at least or at most so, or only
when the topic is made and the operator's afterwards (`Rule.AT_FIRST`). `vital` is what a promise
rests on, so that no service starts without it; the rest only costs speed or space.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hooklane.schemas.topics import Delay, TopicNames

_DAY_MS: Final = 86_400_000
_MIB: Final = 2**20

ENVELOPE_BYTES: Final = 64 * 1024
"""What a task's record may need beyond its event's: ids, names, Avro."""
LAST_ATTEMPT_BYTES: Final = 128 * 1024
"""What a dead letter's record may need beyond a task's: the last attempt with its response."""

_TIER_RETENTION_MS: Final = 30 * _DAY_MS
_TIER_DELAYS: Final = 10


class Rule(Enum):
    """How a setting's value is judged."""

    EXACTLY = "exactly"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    AT_FIRST = "at first"


@dataclass(frozen=True, slots=True)
class WantedConfig:
    """One setting of a topic, by Kafka's name for it."""

    name: str
    value: str
    rule: Rule
    vital: bool


@dataclass(frozen=True, slots=True)
class WantedTopic:
    """A topic as it must be. One that is not `vital` is only the command line's: the services
    start without it."""

    name: str
    partitions: int
    configs: tuple[WantedConfig, ...]
    vital: bool = True


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What the settings say about topics. `replication_factor` -1 leaves it to the broker."""

    names: TopicNames
    partitions: int
    replication_factor: int
    tiers: tuple[Delay, ...]
    event_topics: tuple[str, ...] = ()
    """Names, and regular expressions that begin with `^`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the plan depends on in the cluster.

    `event_max_bytes`: the `max.message.bytes` of each event topic that is there, by name.
    """

    brokers: int
    event_max_bytes: Mapping[str, int] = field(default_factory=dict)


def wanted_topics(plan: TopicPlan, around: Surroundings) -> Iterator[WantedTopic]:
    """Every topic of Hooklane's own, as it must be in this cluster."""
    names, count = plan.names, plan.partitions
    safe = tuple(_safe(plan, around))
    yield WantedTopic(names.subscriptions, 1, (*_kept_versions(), *safe))
    yield WantedTopic(names.backlog, count, (*_compacted(), *_fits(around, ENVELOPE_BYTES), *safe))
    yield WantedTopic(names.lanes, count, (*_compacted(), *safe))
    yield WantedTopic(
        names.attempts, count, (*_deleted(), _at_first("retention.ms", 7 * _DAY_MS), *safe)
    )
    dead_letters = (
        *_deleted(),
        _at_first("retention.ms", 30 * _DAY_MS),
        *_fits(around, ENVELOPE_BYTES + LAST_ATTEMPT_BYTES),
    )
    yield WantedTopic(names.dead_letters, count, (*dead_letters, *safe))
    audit = (*_deleted(), _at_first("retention.ms", 365 * _DAY_MS), *safe)
    yield WantedTopic(names.audit, 1, audit, vital=False)
    for tier in plan.tiers:
        yield WantedTopic(names.retry(tier), count, (*_deleted(), _far_beyond(tier), *safe))


def required_in_sync(plan: TopicPlan, around: Surroundings) -> int:
    """The least `min.insync.replicas`: two where there are three brokers and copies are wanted."""
    return 2 if around.brokers >= 3 and plan.replication_factor != 1 else 1


def _safe(plan: TopicPlan, around: Surroundings) -> Iterator[WantedConfig]:
    """What keeps an acknowledged record from being lost with one broker."""
    in_sync = required_in_sync(plan, around)
    if in_sync > 1:
        yield _vital("min.insync.replicas", in_sync, Rule.AT_LEAST)
    yield _vital("unclean.leader.election.enable", "false", Rule.EXACTLY)


def _kept_versions() -> Iterator[WantedConfig]:
    yield _vital("cleanup.policy", "compact", Rule.EXACTLY)
    # For that long a bad document finds the last good version before it.
    yield _vital("min.compaction.lag.ms", 30 * _DAY_MS, Rule.AT_LEAST)


def _compacted() -> Iterator[WantedConfig]:
    """Cleaned early and in small pieces, so that a restore reads little."""
    yield _vital("cleanup.policy", "compact", Rule.EXACTLY)
    yield WantedConfig("segment.bytes", str(16 * _MIB), Rule.AT_MOST, vital=False)
    yield WantedConfig("segment.ms", str(600_000), Rule.AT_MOST, vital=False)
    yield WantedConfig("min.cleanable.dirty.ratio", "0.1", Rule.AT_MOST, vital=False)


def _deleted() -> Iterator[WantedConfig]:
    """Old records go by their age alone: a limit in bytes would take young ones."""
    yield _vital("cleanup.policy", "delete", Rule.EXACTLY)
    yield _vital("retention.bytes", -1, Rule.EXACTLY)


def _far_beyond(tier: Delay) -> WantedConfig:
    """A ticket outlives its delay also when the retrier stands still for weeks."""
    least = max(_TIER_RETENTION_MS, round(tier.seconds * 1000 * _TIER_DELAYS))
    return _vital("retention.ms", least, Rule.AT_LEAST)


_KAFKAS_OWN = 1_048_588
"""What a topic has of its own: the event topics may be made after ours."""


def _fits(around: Surroundings, beyond: int) -> Iterator[WantedConfig]:
    largest = max(around.event_max_bytes.values(), default=_KAFKAS_OWN)
    yield _vital("max.message.bytes", largest + beyond, Rule.AT_LEAST)


def _vital(name: str, value: str | int, rule: Rule) -> WantedConfig:
    return WantedConfig(name, str(value), rule, vital=True)


def _at_first(name: str, value: int) -> WantedConfig:
    return WantedConfig(name, str(value), Rule.AT_FIRST, vital=False)
