"""Makes topics, changes their settings, and checks them: the plan carried to Kafka and back.

Nothing is ever deleted or made smaller, and partitions are never added: that would move lanes to
other partitions.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from hooklane.runtime.errors import BrokerError, TopicsError
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.runtime.topic_check import (
    Finding,
    FoundTopic,
    Remedy,
    compare,
    covered_event_topics,
    missing_event_topics,
)
from hooklane.runtime.topic_plan import (
    Surroundings,
    TopicPlan,
    WantedTopic,
    required_in_sync,
    wanted_topics,
)
from hooklane.runtime.topic_words import complaint, sentence

_TIMEOUT_S = 15.0


class Deed(Enum):
    CREATED = "created"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True)
class Change:
    """What `apply_topics` did to a topic. `detail`: `name=value`, or how it was made."""

    topic: str
    deed: Deed
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a service learns from its topics: the size in bytes that a record may have."""

    backlog_max_bytes: int
    dead_letters_max_bytes: int


@dataclass(frozen=True, slots=True)
class _View:
    """The plan and the cluster at one moment."""

    wanted: tuple[WantedTopic, ...]
    found: dict[str, FoundTopic]
    findings: tuple[Finding, ...]


def check_topics(admin: KafkaAdmin, plan: TopicPlan) -> list[Finding]:
    """Everything that is not as it must be. Raises BrokerError."""
    return list(_look(admin, plan).findings)


def verify_topics(admin: KafkaAdmin, plan: TopicPlan) -> Verified:
    """For a service at its start.

    Raises:
        TopicsError: a topic is missing, or made so that a promise would break.
        BrokerError: Kafka cannot be reached.
    """
    view = _look(admin, plan)
    vital = [one for one in view.findings if one.vital]
    if vital:
        raise TopicsError(complaint(vital))
    return Verified(
        _max_bytes(view.found[plan.names.backlog]), _max_bytes(view.found[plan.names.dead_letters])
    )


def apply_topics(admin: KafkaAdmin, plan: TopicPlan) -> list[Change]:
    """Make what is missing and change the settings that differ; what was done, in order.

    What only a person can mend is left as it is: `check_topics` tells it. Returns when every
    change shows in the cluster.

    Raises:
        BrokerError: Kafka cannot be reached, or refuses a change; those before it are made.
        TopicsError: changes were taken but do not show.
    """
    view = _look(admin, plan)
    changes = []
    for topic in view.wanted:
        mending = [
            one for one in view.findings if one.topic == topic.name and one.remedy is Remedy.APPLY
        ]
        if not mending:
            continue
        if topic.name in view.found:
            changes += _alter(admin, topic, mending)
        else:
            changes += _create(admin, topic, plan.replication_factor)
    _settle(admin, plan)
    return changes


def create_event_topics(admin: KafkaAdmin, names: Iterable[str]) -> list[Change]:
    """Make event topics that are missing, as the broker makes a topic by default.

    For a developer: in earnest they are not ours to make. Patterns are passed over.

    Raises:
        BrokerError: Kafka cannot be reached, or refuses.
    """
    there = admin.layouts()
    missing = [name for name in names if not name.startswith("^") and name not in there]
    return [
        change
        for name in missing
        for change in _created(admin, NewTopic(name), "as the broker makes them by default")
    ]


def _settle(admin: KafkaAdmin, plan: TopicPlan) -> None:
    """Wait until brokers show what the controller has taken."""
    deadline = time.monotonic() + _TIMEOUT_S
    while left := [one for one in _look(admin, plan).findings if one.remedy is Remedy.APPLY]:
        if time.monotonic() > deadline:
            raise TopicsError(
                f"Kafka took every change, and still: {sentence(left[0])}; see the broker's log, "
                "and whether a policy of the cluster overrides topic settings."
            )
        time.sleep(0.05)


def _look(admin: KafkaAdmin, plan: TopicPlan) -> _View:
    layouts = admin.layouts()
    own = frozenset(plan.names.all(plan.tiers)) & layouts.keys()
    events = covered_event_topics(plan, layouts)
    configs = admin.configs([*own, *events])
    around = Surroundings(
        admin.brokers(),
        {name: int(configs[name]["max.message.bytes"]) for name in events if name in configs},
    )
    found = {
        name: FoundTopic(
            name, layouts[name].partitions, layouts[name].replicas, configs.get(name, {})
        )
        for name in own
    }
    wanted = tuple(wanted_topics(plan, around))
    findings = (
        *compare(wanted, found, required_in_sync(plan, around)),
        *missing_event_topics(plan, layouts),
    )
    return _View(wanted, found, findings)


def _create(admin: KafkaAdmin, topic: WantedTopic, replication_factor: int) -> list[Change]:
    config = {one.name: one.value for one in topic.configs}
    new = NewTopic(topic.name, topic.partitions, replication_factor, config=config)
    return _created(admin, new, f"partitions={topic.partitions}")


def _created(admin: KafkaAdmin, new: NewTopic, detail: str) -> list[Change]:
    asked = admin.client.create_topics(
        [new], operation_timeout=_TIMEOUT_S, request_timeout=_TIMEOUT_S
    )
    try:
        admin.answer(asked[new.topic], f"create topic {new.topic}")
    except BrokerError as error:
        if _already_there(error):
            # Somebody applies at the same time, by the same plan or not: the check after it tells.
            return []
        raise
    return [Change(new.topic, Deed.CREATED, detail)]


def _alter(admin: KafkaAdmin, topic: WantedTopic, mending: Sequence[Finding]) -> list[Change]:
    wrong = {one.what for one in mending}
    changing = [one for one in topic.configs if one.name in wrong]
    entries = [
        ConfigEntry(one.name, one.value, incremental_operation=AlterConfigOpType.SET)
        for one in changing
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
    asked = admin.client.incremental_alter_configs([resource], request_timeout=_TIMEOUT_S)
    admin.answer(asked[resource], f"alter topic {topic.name}")
    return [Change(topic.name, Deed.ALTERED, f"{one.name}={one.value}") for one in changing]


def _already_there(error: BrokerError) -> bool:
    cause = error.__cause__
    return (
        isinstance(cause, KafkaException)
        and cause.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    )


def _max_bytes(topic: FoundTopic) -> int:
    return int(topic.configs["max.message.bytes"])
