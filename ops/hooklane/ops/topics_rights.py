"""The least that each principal has to be allowed at the brokers. Pure.

Reading and writing bring the right to describe with them; altering settings that to read them.
Hooklane needs nothing on the cluster, and nothing on other topics and groups.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hooklane.runtime.kafka import READER_GROUPS
from hooklane.runtime.topic_plan import TopicPlan
from hooklane.schemas.topics import TopicNames

_READERS: Final = "readers, which never join, ask for its coordinator"
_LITERALS: Final = re.compile(r"(?:(?:[A-Za-z0-9_-]|\\[._-]|\[[._-]\])(?![*?{]))*")
"""Characters of topics' names in a regular expression, as far as each is there exactly so."""


class Role(StrEnum):
    """Who comes to Kafka; several may be one principal."""

    FANOUT = "fanout"
    RETRIER = "retrier"
    SETUP = "setup"
    """`hooklane topics apply`."""
    SUBSCRIPTIONS = "subscriptions"
    """`hooklane subscriptions`."""
    OPERATOR = "operator"
    """Every other command that looks at what waits, and acts on it."""
    PUBLISHER = "publisher"
    """A service that publishes events."""
    OUTBOX = "outbox"
    """`hooklane outbox`."""


class Resource(StrEnum):
    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    ALTER_CONFIGS = "AlterConfigs"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Right:
    """What a role may do with the resources of a name, or of every name that begins with it."""

    role: Role
    resource: Resource
    name: str
    operations: tuple[Operation, ...]
    why: str
    prefixed: bool = False


@dataclass(frozen=True, slots=True)
class Groups:
    """The consumer groups of both services."""

    fanout: str
    retrier: str


def rights(plan: TopicPlan, groups: Groups) -> list[Right]:
    """What an installation needs, role by role."""
    events = list(_event_names(plan.event_topics))
    return [
        *_fanout(plan, groups.fanout, events),
        *_retrier(plan, groups.retrier),
        *_setup(plan.names, events),
        _topic(
            Role.SUBSCRIPTIONS,
            plan.names.subscriptions,
            "reads and writes documents",
            Operation.READ,
            Operation.WRITE,
        ),
        _topic(Role.SUBSCRIPTIONS, plan.names.audit, "says who changed what", Operation.WRITE),
        _config_reader(Role.SUBSCRIPTIONS, plan.names),
        _own(
            Role.OPERATOR,
            plan.names,
            "looks at what waits and what was given up, and acts by records",
            Operation.READ,
            Operation.WRITE,
            Operation.DESCRIBE_CONFIGS,
        ),
        *_readers(Role.OPERATOR, plan.names),
        *_runs(plan.names, events),
        *(
            Right(Role.PUBLISHER, Resource.TOPIC, name, (Operation.WRITE,), "publishes", prefixed)
            for name, prefixed in events
        ),
        *_outbox(plan.names, events),
    ]


def _fanout(plan: TopicPlan, group: str, events: Sequence[tuple[str, bool]]) -> Iterator[Right]:
    role, names = Role.FANOUT, plan.names
    yield _checked(role, names)
    for name, prefixed in events:
        operations = (Operation.READ, Operation.DESCRIBE_CONFIGS)
        yield Right(role, Resource.TOPIC, name, operations, "takes events", prefixed)
    yield _config(role, names)
    yield _topic(
        role, names.lanes, "lanes and ledgers of its partitions", Operation.READ, Operation.WRITE
    )
    for name in (names.backlog, *map(names.retry, plan.tiers)):
        yield _topic(role, name, "redirects deliveries", Operation.WRITE)
    yield from _outcomes(role, names)
    yield from _membership(role, names, group)


def _retrier(plan: TopicPlan, group: str) -> Iterator[Right]:
    role, names = Role.RETRIER, plan.names
    yield _checked(role, names)
    yield _config(role, names)
    for name in (names.backlog, *map(names.retry, plan.tiers)):
        yield _topic(role, name, "takes and resolves what waits", Operation.READ, Operation.WRITE)
    yield _topic(
        role, names.lanes, "sees blocked lanes, releases them", Operation.READ, Operation.WRITE
    )
    yield from _outcomes(role, names)
    yield from _membership(role, names, group)


def _runs(names: TopicNames, events: Iterable[tuple[str, bool]]) -> Iterator[Right]:
    """What redrive, purge and replay need beyond the topics."""
    role = Role.OPERATOR
    for kind in ("dead-letters", "replay"):
        name = f"{names.prefix}-{kind}-"
        yield Right(
            role,
            Resource.TRANSACTIONAL_ID,
            name,
            (Operation.WRITE,),
            "writes in runs",
            prefixed=True,
        )
    yield Right(
        role,
        Resource.GROUP,
        f"{names.prefix}-replay-",
        (Operation.READ,),
        "keeps how far a replay has come",
        prefixed=True,
    )
    yield _topic(role, names.dead_letters, "deletes what was purged", Operation.DELETE)
    for name, prefixed in events:
        yield Right(role, Resource.TOPIC, name, (Operation.READ,), "replays events", prefixed)


def _outbox(names: TopicNames, events: Iterable[tuple[str, bool]]) -> Iterator[Right]:
    role = Role.OUTBOX
    for name, prefixed in events:
        yield Right(role, Resource.TOPIC, name, (Operation.WRITE,), "publishes rows", prefixed)
    yield Right(
        role,
        Resource.TRANSACTIONAL_ID,
        f"{names.prefix}-outbox-",
        (Operation.WRITE,),
        "publishes in transactions; the rest of the id is the table's, and the bucket",
        prefixed=True,
    )


def _setup(names: TopicNames, events: Iterable[tuple[str, bool]]) -> Iterator[Right]:
    yield _own(
        Role.SETUP,
        names,
        "makes and mends topics",
        Operation.CREATE,
        Operation.DESCRIBE,
        Operation.ALTER_CONFIGS,
    )
    for name, prefixed in events:
        operations = (Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS)
        yield Right(
            Role.SETUP, Resource.TOPIC, name, operations, "compares sizes of records", prefixed
        )


def _config_reader(role: Role, names: TopicNames) -> Right:
    """Readers never join, but librdkafka asks for the coordinator of the group that they name."""
    name = f"{names.subscriptions}.reader"
    return Right(role, Resource.GROUP, name, (Operation.DESCRIBE,), _READERS)


def _readers(role: Role, names: TopicNames) -> Iterator[Right]:
    yield _config_reader(role, names)
    yield Right(role, Resource.GROUP, READER_GROUPS, (Operation.DESCRIBE,), _READERS, prefixed=True)


def _checked(role: Role, names: TopicNames) -> Right:
    return _own(
        role,
        names,
        "checks every topic when it starts",
        Operation.DESCRIBE,
        Operation.DESCRIBE_CONFIGS,
    )


def _config(role: Role, names: TopicNames) -> Right:
    return _topic(
        role,
        names.subscriptions,
        "follows documents; notes that a receiver answered 410",
        Operation.READ,
        Operation.WRITE,
    )


def _outcomes(role: Role, names: TopicNames) -> Iterator[Right]:
    yield _topic(role, names.attempts, "says what was tried", Operation.WRITE)
    yield _topic(role, names.dead_letters, "gives up", Operation.WRITE)


def _membership(role: Role, names: TopicNames, group: str) -> Iterator[Right]:
    yield Right(role, Resource.GROUP, group, (Operation.READ,), "is a member, commits offsets")
    yield from _readers(role, names)
    yield Right(
        role,
        Resource.TRANSACTIONAL_ID,
        f"{names.prefix}-{group}-",
        (Operation.WRITE,),
        "writes in transactions; the rest of the id is the process' name",
        prefixed=True,
    )


def _topic(role: Role, name: str, why: str, *operations: Operation) -> Right:
    return Right(role, Resource.TOPIC, name, operations, why)


def _own(role: Role, names: TopicNames, why: str, *operations: Operation) -> Right:
    return Right(role, Resource.TOPIC, f"{names.prefix}.", operations, why, prefixed=True)


def _event_names(events: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Each name or pattern as an ACL has it, and whether it is a beginning."""
    for event in events:
        if event.startswith("^"):
            begins = _beginning(event[1:])
            yield (begins, True) if begins else ("*", False)
        else:
            yield event, False


def _beginning(pattern: str) -> str:
    """What every name that the expression matches surely begins with."""
    if "|" in pattern:
        return ""
    found = _LITERALS.match(pattern)
    return "" if found is None else re.sub(r"[\\\[\]]", "", found[0])


def acl_commands(
    found: Iterable[Right], principals: Mapping[Role, str], servers: str
) -> Iterator[str]:
    """Lines for a shell, by the script of Kafka's archive."""
    for one in found:
        words = ["kafka-acls.sh", "--bootstrap-server", servers.replace(" ", ""), "--add"]
        words += ["--allow-principal", principals[one.role]]
        for operation in one.operations:
            words += ["--operation", operation]
        words += [f"--{one.resource}", one.name]
        if one.prefixed:
            words += ["--resource-pattern-type", "prefixed"]
        yield shlex.join(words)
