"""Which librdkafka properties a user may give, and which kind of client each one applies to.

librdkafka's CONFIGURATION.md marks each property as C, P or *; it only warns of one that does not
apply, on every client, so those are left out here. A property that is in neither list goes to
every client, and librdkafka refuses it where it does not exist.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias, assert_never

from hooklane.runtime.errors import SettingsError

Property: TypeAlias = str | int | float | bool

_SETTING: Final = "HOOKLANE_KAFKA__PROPERTIES"
_SERVERS: Final = "set HOOKLANE_KAFKA__BOOTSTRAP_SERVERS instead"
_INSTANCE: Final = "set HOOKLANE_KAFKA__INSTANCE_ID instead"
_SESSION: Final = "it follows HOOKLANE_KAFKA__SESSION_TIMEOUT"
_PROMISES: Final = "the promises of order and durability rest on its value"

OWNED: Final[Mapping[str, str]] = {
    "bootstrap.servers": _SERVERS,
    "metadata.broker.list": _SERVERS,
    "group.id": "set HOOKLANE_FANOUT__GROUP_ID or HOOKLANE_RETRIER__GROUP_ID instead",
    "group.instance.id": _INSTANCE,
    "transactional.id": _INSTANCE,
    "session.timeout.ms": _SESSION,
    "heartbeat.interval.ms": _SESSION,
    "transaction.timeout.ms": _SESSION,
    "message.timeout.ms": _SESSION,
    "delivery.timeout.ms": _SESSION,
    "group.protocol.type": _PROMISES,
    "partition.assignment.strategy": _PROMISES,
    "enable.auto.commit": _PROMISES,
    "auto.commit.enable": _PROMISES,
    "enable.auto.offset.store": _PROMISES,
    "auto.offset.reset": _PROMISES,
    "isolation.level": _PROMISES,
    "enable.partition.eof": _PROMISES,
    "enable.idempotence": _PROMISES,
    "acks": _PROMISES,
    "request.required.acks": _PROMISES,
    "queuing.strategy": _PROMISES,
    "partitioner": _PROMISES,
    "delivery.report.only.error": _PROMISES,
}
"""Properties that Hooklane sets itself, and what to do instead."""

CONSUMER_ONLY: Final = frozenset(
    {
        "auto.commit.interval.ms",
        "check.crcs",
        "consume.callback.max.messages",
        "coordinator.query.interval.ms",
        "fetch.error.backoff.ms",
        "fetch.max.bytes",
        "fetch.message.max.bytes",
        "fetch.min.bytes",
        "fetch.queue.backoff.ms",
        "fetch.wait.max.ms",
        "group.protocol",
        "group.remote.assignor",
        "max.partition.fetch.bytes",
        "max.poll.interval.ms",
        "offset.store.method",
        "offset.store.path",
        "offset.store.sync.interval.ms",
        "queued.max.messages.kbytes",
        "queued.min.messages",
    }
)

PRODUCER_ONLY: Final = frozenset(
    {
        "batch.num.messages",
        "batch.size",
        "compression.codec",
        "compression.level",
        "compression.type",
        "enable.gapless.guarantee",
        "linger.ms",
        "message.send.max.retries",
        "produce.offset.report",
        "queue.buffering.backpressure.threshold",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "request.timeout.ms",
        "retries",
        "sticky.partitioning.linger.ms",
    }
)


class ClientKind(Enum):
    """What librdkafka tells apart, and the admin client, which needs neither's properties."""

    CONSUMER = "consumer"
    PRODUCER = "producer"
    ADMIN = "admin"


def properties_for(kind: ClientKind, given: Mapping[str, Property]) -> dict[str, str]:
    """Those of the given properties that apply to a client, as librdkafka reads them.

    Raises:
        SettingsError: a property that Hooklane sets itself.
    """
    for name in given:
        if name in OWNED:
            raise SettingsError(
                f"{_SETTING}: {name} is set by Hooklane itself; take it out: {OWNED[name]}."
            )
    foreign = _foreign_to(kind)
    return {name: as_text(value) for name, value in given.items() if name not in foreign}


def as_text(value: Property) -> str:
    """A property's value as librdkafka reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def refused(words: str) -> SettingsError:
    """librdkafka's refusal of a configuration: its words name the property."""
    return SettingsError(f"{_SETTING}: {words.strip().rstrip('.')}.")


def _foreign_to(kind: ClientKind) -> frozenset[str]:
    match kind:
        case ClientKind.CONSUMER:
            return PRODUCER_ONLY
        case ClientKind.PRODUCER:
            return CONSUMER_ONLY
        case ClientKind.ADMIN:
            return PRODUCER_ONLY | CONSUMER_ONLY
        case _:
            assert_never(kind)
