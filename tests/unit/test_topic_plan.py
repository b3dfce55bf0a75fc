"""How topics must be made, and what is said of those that are not."""

import re
from dataclasses import replace

import pytest

from hooklane.runtime.topic_check import (
    Finding,
    FoundTopic,
    Remedy,
    compare,
    covered_event_topics,
    holds,
    missing_event_topics,
)
from hooklane.runtime.topic_plan import (
    ENVELOPE_BYTES,
    Rule,
    Surroundings,
    TopicPlan,
    WantedConfig,
    required_in_sync,
    wanted_topics,
)
from hooklane.runtime.topic_words import complaint, remedy
from hooklane.schemas.topics import Delay, TopicNames

TIERS = (Delay.parse("5s"), Delay.parse("10h"), Delay.parse("20d"))
PLAN = TopicPlan(TopicNames("p"), 12, -1, TIERS, ("orders", "^bill.*"))
ALONE = Surroundings(brokers=1)
THREE = Surroundings(brokers=3)
DAY_MS = 86_400_000


def wanted(topic: str, around: Surroundings = ALONE, plan: TopicPlan = PLAN) -> dict[str, str]:
    found = next(one for one in wanted_topics(plan, around) if one.name == topic)
    return {config.name: config.value for config in found.configs}


def as_wanted(around: Surroundings = ALONE, plan: TopicPlan = PLAN) -> dict[str, FoundTopic]:
    """A cluster in which everything is as the plan says."""
    return {
        one.name: FoundTopic(
            one.name, one.partitions, around.brokers, {c.name: c.value for c in one.configs}
        )
        for one in wanted_topics(plan, around)
    }


def findings(found: dict[str, FoundTopic], around: Surroundings = ALONE) -> list[Finding]:
    return list(compare(wanted_topics(PLAN, around), found, required_in_sync(PLAN, around)))


def test_the_plan_has_every_topic_once() -> None:
    """One partition for the subscriptions and the audit, N for all others, the tiers included."""
    partitions = {one.name: one.partitions for one in wanted_topics(PLAN, ALONE)}
    single = {"p.subscriptions": 1, "p.audit": 1}
    assert partitions == dict.fromkeys(PLAN.names.all(TIERS), 12) | single


@pytest.mark.parametrize("topic", ["p.backlog", "p.lanes"])
def test_what_is_restored_from_is_cleaned_early(topic: str) -> None:
    """The backlog and the lanes are compacted in small segments (DESIGN section 2)."""
    assert (
        wanted(topic).items()
        >= {
            "cleanup.policy": "compact",
            "segment.bytes": "16777216",
            "segment.ms": "600000",
            "min.cleanable.dirty.ratio": "0.1",
        }.items()
    )


def test_the_subscriptions_keep_their_versions() -> None:
    """Compaction leaves a document's versions alone for 30 days."""
    assert wanted("p.subscriptions")["min.compaction.lag.ms"] == str(30 * DAY_MS)


@pytest.mark.parametrize(
    ("topic", "days"),
    [
        ("p.attempts", 7),
        ("p.dead-letters", 30),
        ("p.audit", 365),
        ("p.retry.5s", 30),
        ("p.retry.10h", 30),
        ("p.retry.20d", 200),
    ],
)
def test_records_are_kept_long_enough(topic: str, days: int) -> None:
    """Attempts 7 days, dead letters 30, a tier far beyond its delay; never limited in bytes."""
    configs = wanted(topic)
    assert configs["retention.ms"] == str(days * DAY_MS)
    assert configs["retention.bytes"] == "-1"
    assert configs["cleanup.policy"] == "delete"


@pytest.mark.parametrize(
    ("brokers", "replication", "in_sync"),
    [(1, -1, 1), (2, -1, 1), (3, -1, 2), (3, 3, 2), (5, 2, 2), (3, 1, 1)],
)
def test_two_replicas_must_be_in_sync_where_there_are_three_brokers(
    brokers: int, replication: int, in_sync: int
) -> None:
    """With fewer brokers, or where one copy was asked for, one is enough."""
    plan = replace(PLAN, replication_factor=replication)
    assert required_in_sync(plan, Surroundings(brokers)) == in_sync
    told = wanted("p.lanes", Surroundings(brokers), plan).get("min.insync.replicas")
    assert told == (None if in_sync == 1 else "2")


@pytest.mark.parametrize("topic", ["p.backlog", "p.dead-letters"])
def test_the_largest_event_fits_with_its_envelope(topic: str) -> None:
    """Records that carry an event may be larger than the largest of any event topic."""
    around = Surroundings(1, {"orders": 5_000_000, "billing": 2_000_000})
    assert int(wanted(topic, around)["max.message.bytes"]) >= 5_000_000 + ENVELOPE_BYTES


@pytest.mark.parametrize("around", [ALONE, THREE])
def test_nothing_is_found_where_all_is_as_planned(around: Surroundings) -> None:
    """A cluster made by the plan passes."""
    assert findings(as_wanted(around), around) == []


DAMAGES = [
    ("p.backlog", "cleanup.policy", "delete", True),
    ("p.lanes", "cleanup.policy", "compact,delete", True),
    ("p.retry.5s", "retention.ms", "3600000", True),
    ("p.retry.5s", "retention.bytes", "1000000", True),
    ("p.backlog", "max.message.bytes", "1048588", True),
    ("p.lanes", "min.insync.replicas", "1", True),
    ("p.attempts", "unclean.leader.election.enable", "true", True),
    ("p.subscriptions", "min.compaction.lag.ms", "0", True),
    ("p.backlog", "segment.ms", "604800000", False),
    ("p.lanes", "min.cleanable.dirty.ratio", "0.5", False),
]


@pytest.mark.parametrize(("topic", "what", "value", "vital"), DAMAGES)
def test_a_wrong_setting_is_found_and_named(topic: str, what: str, value: str, vital: bool) -> None:
    """Each setting that differs is one finding, with the topic, that apply can mend."""
    found = as_wanted(THREE)
    configs = {**found[topic].configs, what: value}
    found[topic] = replace(found[topic], configs=configs)
    (finding,) = findings(found, THREE)
    assert (finding.topic, finding.what, finding.found) == (topic, what, value)
    assert (finding.remedy, finding.vital) == (Remedy.APPLY, vital)


@pytest.mark.parametrize(
    ("change", "what", "words"),
    [
        ({"partitions": 6}, "partitions", "would move lanes: set HOOKLANE_TOPICS__PARTITIONS to 6"),
        ({"partitions": 24}, "partitions", "set HOOKLANE_TOPICS__PARTITIONS to 24"),
        ({"replicas": 1}, "replicas", "HOOKLANE_TOPICS__REPLICATION_FACTOR"),
    ],
)
def test_what_would_move_lanes_is_left_to_a_person(
    change: dict[str, int], what: str, words: str
) -> None:
    """Another N and too few copies are vital, and nothing that apply touches."""
    found = as_wanted(THREE)
    found["p.backlog"] = FoundTopic(
        "p.backlog",
        change.get("partitions", 12),
        change.get("replicas", 3),
        found["p.backlog"].configs,
    )
    (finding,) = findings(found, THREE)
    assert (finding.what, finding.remedy, finding.vital) == (what, Remedy.BY_HAND, True)
    assert words in remedy(finding)


def test_a_missing_topic_is_one_finding() -> None:
    """Of a topic that is not there only that is said, and that apply makes it."""
    found = as_wanted()
    del found["p.lanes"]
    (finding,) = findings(found)
    assert complaint([finding]) == "Topic p.lanes is missing; `hooklane topics apply` mends it."


@pytest.mark.parametrize("what", ["topic", "partitions", "replicas", "cleanup.policy"])
def test_no_service_waits_for_the_audit(what: str) -> None:
    """Only commands write it: what is wrong with it is told, and keeps no service from starting."""
    found = as_wanted(THREE)
    there = found.pop("p.audit")
    if what == "partitions":
        found["p.audit"] = replace(there, partitions=3)
    elif what == "replicas":
        found["p.audit"] = replace(there, replicas=1)
    elif what == "cleanup.policy":
        found["p.audit"] = replace(there, configs={**there.configs, what: "compact"})
    assert [(one.what, one.vital) for one in findings(found, THREE)] == [(what, False)]


def test_the_worst_is_said_first() -> None:
    """Of several findings the one that apply cannot mend is named, and the rest are counted."""
    found = as_wanted()
    del found["p.lanes"]
    found["p.backlog"] = replace(found["p.backlog"], partitions=3)
    said = complaint(findings(found))
    assert re.match(r"Topic p\.backlog has partitions 3, wanted is 12 \(1 more: ", said)


RETENTION = WantedConfig("retention.ms", "1000", Rule.AT_LEAST, vital=True)


@pytest.mark.parametrize(
    ("config", "value", "good"),
    [
        (RETENTION, "1000", True),
        (RETENTION, "999", False),
        (RETENTION, "-1", True),
        (RETENTION, None, False),
        (replace(RETENTION, name="max.message.bytes"), "-1", False),
        (replace(RETENTION, rule=Rule.AT_MOST), "1000", True),
        (replace(RETENTION, rule=Rule.AT_MOST), "1001", False),
        (replace(RETENTION, rule=Rule.EXACTLY), "1001", False),
        (replace(RETENTION, rule=Rule.AT_FIRST), "5", True),
        (replace(RETENTION, rule=Rule.AT_FIRST), None, True),
    ],
)
def test_each_rule_judges_a_value(config: WantedConfig, value: str | None, good: bool) -> None:
    """At least, at most, exactly, or the operator's; a retention of -1 is for ever."""
    assert holds(config, value) is good


def test_event_topics_are_found_by_name_and_pattern() -> None:
    """Patterns count, Hooklane's own topics never do; a missing name is told and not vital."""
    there = ["orders", "billing", "other", "p.backlog"]
    everything = replace(PLAN, event_topics=("orders", "^.*"))
    assert covered_event_topics(PLAN, there) == ["billing", "orders"]
    assert covered_event_topics(everything, there) == ["billing", "orders", "other"]
    (finding,) = missing_event_topics(PLAN, ["billing"])
    assert (finding.topic, finding.vital, finding.remedy) == ("orders", False, Remedy.BY_HAND)
