"""Compares topics as they must be with topics as they are. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from hooklane.runtime.topic_plan import Rule, TopicPlan, WantedConfig, WantedTopic
from hooklane.schemas.topics import covered


class Remedy(Enum):
    """Who can mend what was found."""

    APPLY = "apply"
    """`hooklane topics apply`."""
    BY_HAND = "by hand"
    """Only a person: it would move lanes, or lose records."""


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as the brokers have it; `replicas` is the least that a partition has."""

    name: str
    partitions: int
    replicas: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be.

    `what` is `topic`, `partitions`, `replicas`, or Kafka's name of a setting. A service does not
    start with a vital one.
    """

    topic: str
    what: str
    wanted: str
    found: str
    remedy: Remedy
    vital: bool


def compare(
    wanted: Iterable[WantedTopic], found: Mapping[str, FoundTopic], least_replicas: int
) -> Iterator[Finding]:
    """Every difference that matters, topic by topic in the plan's order.

    `least_replicas`: with fewer copies of a partition, its `min.insync.replicas` cannot be met.
    """
    for topic in wanted:
        there = found.get(topic.name)
        if there is None:
            yield Finding(topic.name, "topic", "there", "missing", Remedy.APPLY, topic.vital)
        else:
            yield from _differences(topic, there, least_replicas)


def missing_event_topics(plan: TopicPlan, found: Iterable[str]) -> Iterator[Finding]:
    """Event topics that are named and are not there: most likely a slip of the pen.

    Not vital, since they may come later, and never made by Hooklane: they are not its own.
    """
    there = frozenset(found)
    for name in plan.event_topics:
        if not name.startswith("^") and name not in there:
            yield Finding(name, "topic", "there", "missing", Remedy.BY_HAND, vital=False)


def covered_event_topics(plan: TopicPlan, found: Iterable[str]) -> list[str]:
    """The event topics of the plan that are there, patterns included, without Hooklane's own."""
    own = frozenset(plan.names.all(plan.tiers))
    return sorted(name for name in found if name not in own and covered(name, plan.event_topics))


def holds(wanted: WantedConfig, found: str | None) -> bool:
    """Whether a setting's value will do. One that the broker does not tell will not."""
    if wanted.rule is Rule.AT_FIRST:
        return True
    if found is None:
        return False
    match wanted.rule:
        case Rule.EXACTLY:
            return found == wanted.value
        case Rule.AT_LEAST:
            # Kafka writes "for ever" as -1, in retention.ms.
            return _is_endless(wanted, found) or float(found) >= float(wanted.value)
        case Rule.AT_MOST:
            return float(found) <= float(wanted.value)
        case _:
            assert_never(wanted.rule)


def _differences(topic: WantedTopic, there: FoundTopic, replicas: int) -> Iterator[Finding]:
    if there.partitions != topic.partitions:
        yield _by_hand(topic, "partitions", str(topic.partitions), there.partitions)
    if there.replicas < replicas:
        yield _by_hand(topic, "replicas", f"at least {replicas}", there.replicas)
    for config in topic.configs:
        value = there.configs.get(config.name)
        if not holds(config, value):
            yield Finding(
                topic.name,
                config.name,
                _in_words(config),
                "unknown" if value is None else value,
                Remedy.APPLY,
                config.vital and topic.vital,
            )


def _in_words(wanted: WantedConfig) -> str:
    if wanted.rule is Rule.EXACTLY:
        return wanted.value
    return f"{wanted.rule.value} {wanted.value}"


def _by_hand(topic: WantedTopic, what: str, wanted: str, found: int) -> Finding:
    return Finding(topic.name, what, wanted, str(found), Remedy.BY_HAND, topic.vital)


def _is_endless(wanted: WantedConfig, found: str) -> bool:
    return wanted.name == "retention.ms" and found == "-1"
