"""The settings of `hooklane dev`: the developer's own, and what dev decides. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from hooklane.ops.embedded_broker import PARTITIONS
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_source import Given, Values, describe, merged

PREFIX: Final = "hooklane-dev"
"""On a Kafka that others use too, a developer must not join the groups of a real installation."""

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_GRACE: Final = "2s"


@dataclass(frozen=True, slots=True)
class Around:
    """`servers`: where Kafka is, or the embedded broker. `topics`: event topics, or patterns."""

    servers: str
    topics: tuple[str, ...]
    spool_dir: Path


def on_kafka(given: Given, around: Around) -> Settings:
    """For a Kafka: topics and groups under a prefix of dev's own, unless the settings name them.

    Raises:
        SettingsError: a setting is wrong.
    """
    values = merged(given)
    prefix = values.get("topics", {}).get("prefix", PREFIX)
    defaults: Values = {
        # A static member that comes back with other topics keeps its old assignment, since the
        # broker does not look at what it subscribes to.
        "kafka": {"instance_id": ""},
        "topics": {"prefix": prefix, "partitions": PARTITIONS},
        "fanout": {"group_id": f"{prefix}-fanout"},
        "retrier": {"group_id": f"{prefix}-retrier"},
    }
    ours = _ours(values, around)
    ours["kafka"] = {"bootstrap_servers": around.servers}
    return _settings(_over(defaults, values, ours), given)


def on_embedded(given: Given, around: Around) -> Settings:
    """For the embedded broker: what the settings say about a Kafka does not apply.

    Raises:
        SettingsError: a setting is wrong.
    """
    values = merged(given)
    ours = _ours(values, around)
    ours["topics"] = {"partitions": PARTITIONS, "replication_factor": -1}
    kafka = {
        "bootstrap_servers": around.servers,
        "instance_id": "dev",
        # It answers a fetch when this is over, not when a record comes; and a topic that is made
        # by its first event shall be met soon.
        "properties": {"fetch.wait.max.ms": 10, "topic.metadata.refresh.interval.ms": 500},
    }
    return _settings({**_over(values, ours), "kafka": kafka}, given)


def all_topics_but(prefix: str) -> str:
    """A pattern of the topics whose names do not begin with `prefix`.

    As librdkafka's regular expressions have no look-ahead, it says where a name differs.
    """
    ends = (f"{_literal(prefix[:place])}([^{prefix[place]}]|$)" for place in range(len(prefix)))
    return f"^({'|'.join(ends)})"


def _literal(text: str) -> str:
    return text.replace(".", "[.]")


def _ours(values: Values, around: Around) -> Values:
    networks = values.get("delivery", {}).get("allow_networks", ())
    return {
        "fanout": {"topics": list(around.topics), "shutdown_grace": _GRACE},
        "retrier": {"spool_dir": around.spool_dir, "shutdown_grace": _GRACE},
        "delivery": {"allow_http": True, "allow_networks": [*networks, *_LOOPBACK]},
        "secrets": {"allow_plaintext": True},
        "http": {"host": "127.0.0.1", "port": 0},
    }


def _over(*layers: Mapping[str, Mapping[str, Any]]) -> Values:
    """Each layer over those before it, setting by setting."""
    names = {name: None for layer in layers for name in layer}
    return {
        name: {key: value for layer in layers for key, value in layer.get(name, {}).items()}
        for name in names
    }


def _settings(values: Values, given: Given) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(describe(error, given)) from error
