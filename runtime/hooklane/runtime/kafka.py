"""The librdkafka configuration of each kind of client.

    group consumer          a member of a consumer group: events, or the backlog
    internal consumer       reads Hooklane's own topics by assignment, from where it is told
    offsets consumer        asks what a group has committed
    transactional producer  what the services write about lanes
    plain producer          everything else that is written
    admin client            questions, and the making of topics

Each takes those of the user's properties that apply to it; what Hooklane promises rests on is set
after them and cannot be given (see kafka_properties). kafka_clients makes the clients.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import uuid4

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.kafka_properties import ClientKind, Property, as_text, properties_for

Config: TypeAlias = Mapping[str, str]

_CONNECTION: Final[Mapping[str, Property]] = {
    "client.id": "hooklane",
    # A broker that comes back is met within seconds, not within librdkafka's 10.
    "reconnect.backoff.max.ms": 2_000,
    "socket.keepalive.enable": True,
    # KIP-714 would add a subscription request to every connection, for metrics we serve ourselves.
    "enable.metrics.push": False,
}
_CONSUMING: Final[Mapping[str, Property]] = {
    # A full queue is looked at again soon: the default of 1 s would show as latency.
    "fetch.queue.backoff.ms": 50,
    # What is fetched ahead is held: by default 64 MiB, twice as much with what librdkafka needs
    # for each record, and a fetch may go beyond by a compressed megabyte of each partition. This
    # is most of a second of what a process can take.
    "queued.max.messages.kbytes": 4_096,
    "fetch.message.max.bytes": 128 * 2**10,
    "fetch.error.backoff.ms": 100,
    # A partition that is resumed joins the next fetch, which waits for the one under way.
    "fetch.wait.max.ms": 100,
}
_PRODUCING: Final[Mapping[str, Property]] = {
    "linger.ms": 2,
    "compression.type": "lz4",
    # The topic's own max.message.bytes is the limit, and is known: a task is measured beforehand.
    "message.max.bytes": 128 * 2**20,
}


_LONGEST_HEARTBEAT_MS: Final = 3000
"""Members hear by their heartbeats that partitions are to move: with a third of a long session the
ones that join would wait for that, twice."""

READER_GROUPS: Final = "hooklane-reader-"
"""What the names of groups begin with that are never joined."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """What the settings say about Kafka.

    `properties` may hold passwords. `instance_id` is empty for a dynamic member.
    """

    bootstrap_servers: str
    properties: Mapping[str, Property] = field(default_factory=dict, repr=False)
    instance_id: str = ""
    session_timeout_s: float = 10.0


def group_consumer(access: KafkaAccess, group_id: str) -> Config:
    """A member of `group_id`, static if there is an instance id.

    With `group.protocol` = `consumer` (KIP-848) the member is dynamic, and the broker says the
    timeouts and assigns.
    """
    given = properties_for(ClientKind.CONSUMER, access.properties)
    own: dict[str, Property] = {
        "group.id": group_id,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": False,
    }
    if given.get("group.protocol", "classic") == "classic":
        own |= _classic_membership(access)
    # New topics of a pattern shall not wait for the default of 5 min.
    noticing: dict[str, Property] = {"topic.metadata.refresh.interval.ms": 30_000}
    return _merged(access, {**_CONSUMING, **noticing}, given, own)


def internal_consumer(access: KafkaAccess) -> Config:
    """Reads by `assign` alone: its group is its own, never joined, and nothing is committed."""
    given = properties_for(ClientKind.CONSUMER, access.properties)
    # They speak of a membership that it does not have.
    given.pop("group.protocol", None)
    given.pop("group.remote.assignor", None)
    own: dict[str, Property] = {
        "group.id": f"{READER_GROUPS}{uuid4().hex}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    # The end of an empty partition is told only when a fetch has waited this long.
    prompt: dict[str, Property] = {"fetch.wait.max.ms": 20}
    return _merged(access, {**_CONSUMING, **prompt}, given, own)


def offsets_consumer(access: KafkaAccess, group_id: str) -> Config:
    """Asks what `group_id` has committed, open transactions waited for; it never joins."""
    return {**internal_consumer(access), "group.id": group_id}


def transactional_producer(access: KafkaAccess, prefix: str, group_id: str) -> Config:
    """One a process; a second one with the same names fences the first.

    Raises:
        SettingsError: the session timeout leaves no room for a transaction.
    """
    transaction_ms = round(access.session_timeout_s * 1000 * 2 / 3)
    if transaction_ms < 1000:
        raise SettingsError(
            "HOOKLANE_KAFKA__SESSION_TIMEOUT must be at least 1500ms: a transaction may last two "
            "thirds of it, and Kafka's shortest is 1 s."
        )
    # With a dynamic member nobody comes back under the name, so there is nobody to fence.
    member = access.instance_id or uuid4().hex
    given = properties_for(ClientKind.PRODUCER, access.properties)
    own: dict[str, Property] = {
        "transactional.id": f"{prefix}-{group_id}-{member}",
        "transaction.timeout.ms": transaction_ms,
        "message.timeout.ms": transaction_ms - 100,
        **_acknowledged(),
    }
    # With librdkafka's default of 100 ms each transaction takes at least that.
    prompt: dict[str, Property] = {"retry.backoff.ms": 10}
    return _merged(access, {**_PRODUCING, **prompt}, given, own)


def plain_producer(access: KafkaAccess) -> Config:
    """Idempotent, and acknowledged by all in-sync replicas."""
    given = properties_for(ClientKind.PRODUCER, access.properties)
    own: dict[str, Property] = {
        "message.timeout.ms": round(access.session_timeout_s * 1000 * 2 / 3),
        **_acknowledged(),
    }
    return _merged(access, _PRODUCING, given, own)


def admin(access: KafkaAccess) -> Config:
    """For an AdminClient."""
    return _merged(access, {}, properties_for(ClientKind.ADMIN, access.properties), {})


def _classic_membership(access: KafkaAccess) -> dict[str, Property]:
    session_ms = round(access.session_timeout_s * 1000)
    own: dict[str, Property] = {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": min(session_ms // 3, _LONGEST_HEARTBEAT_MS),
    }
    if access.instance_id:
        own["group.instance.id"] = access.instance_id
    return own


def _acknowledged() -> dict[str, Property]:
    # `consistent` is crc32 of the key: what `lane_partition` says, where no partition is named.
    return {"enable.idempotence": True, "acks": "all", "partitioner": "consistent"}


def _merged(
    access: KafkaAccess,
    defaults: Mapping[str, Property],
    given: Mapping[str, str],
    own: Mapping[str, Property],
) -> Config:
    """Our defaults, over them the user's properties, over them what Hooklane rests on."""
    first = {**_CONNECTION, **defaults}
    last = {**own, "bootstrap.servers": access.bootstrap_servers}
    return {
        **{name: as_text(value) for name, value in first.items()},
        **given,
        **{name: as_text(value) for name, value in last.items()},
    }
