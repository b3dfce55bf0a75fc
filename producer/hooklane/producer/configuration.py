"""librdkafka's properties of a publisher: what is always on, and what is only a default."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from hooklane.producer.errors import ConfigurationError

Properties: TypeAlias = Mapping[str, Any]

_ALWAYS = {"enable.idempotence": True, "acks": "all"}
_SPELLINGS = {"enable.idempotence": {"true"}, "acks": {"all", "-1"}}
_SAME = {"request.required.acks": "acks"}
_DEFAULTS: Properties = {
    # Java's clients, Connect and Debezium put a key where murmur2 says; one topic, one rule.
    "partitioner": "murmur2_random",
    "queue.buffering.max.kbytes": 65_536,
    "linger.ms": 5,
    "compression.type": "lz4",
}
_TRANSACTIONAL_ID = "transactional.id"
# The coordinator is often still busy with the transaction before: 100 ms, the client's own
# default, would be most of the time that a transaction takes.
_TRANSACTIONAL_DEFAULTS: Properties = {"retry.backoff.ms": 10}


def is_transactional(given: Properties) -> bool:
    return bool(given.get(_TRANSACTIONAL_ID))


def with_transactional_id(given: Properties, transactional_id: str | None) -> Properties:
    return given if transactional_id is None else {**given, _TRANSACTIONAL_ID: transactional_id}


def publisher_properties(given: Properties) -> dict[str, Any]:
    """What the Kafka client is made with. `given` goes before the defaults.

    Raises:
        ConfigurationError: no broker is named, or a promise would be broken.
    """
    if not (given.get("bootstrap.servers") or given.get("metadata.broker.list")):
        raise ConfigurationError('"bootstrap.servers" is missing: name at least one broker')
    for name, value in given.items():
        fixed = _SAME.get(name, name)
        if fixed in _ALWAYS and str(value).lower() not in _SPELLINGS[fixed]:
            raise ConfigurationError(
                f'"{name}" cannot be {value!r}: a publisher is always idempotent with acks=all, '
                "or events could be lost, doubled or reordered"
            )
    kept = {name: value for name, value in given.items() if _SAME.get(name, name) not in _ALWAYS}
    further = _TRANSACTIONAL_DEFAULTS if is_transactional(given) else {}
    return {**_DEFAULTS, **further, **kept, **_ALWAYS}
