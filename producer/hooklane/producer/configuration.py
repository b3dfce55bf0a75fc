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
    return {**_DEFAULTS, **kept, **_ALWAYS}
