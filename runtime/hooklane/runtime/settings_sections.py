"""Every setting, by section: its type, its default and what it means.

`docs/settings.md` is made from this module, so a description is written for an operator.
"""

import base64
import binascii
import socket
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    SecretStr,
    model_validator,
)

from hooklane.runtime.kafka_properties import OWNED, Property
from hooklane.runtime.kafka_property_files import property_files
from hooklane.runtime.settings_types import (
    URL_KIND,
    Duration,
    SecretUrl,
    Section,
    Size,
    topic_name,
    topic_or_pattern,
)
from hooklane.schemas.topics import Delay

SECRET_WORDS: Final = (
    "password",
    "secret",
    "oauthbearer.config",
    "passphrase",
    "key.pem",
    "private.key",
)


def is_secret_property(name: str) -> bool:
    """Whether a librdkafka property's value must never be shown."""
    return any(word in name for word in SECRET_WORDS)


def _properties(given: object) -> object:
    for name, value in given.items() if isinstance(given, dict) else ():
        if not isinstance(value, str | int | float):
            raise ValueError(f"{name} must be a string, a number, true or false")  # noqa: TRY004
        if name in OWNED:
            raise ValueError(f"{name} is set by Hooklane itself; take it out: {OWNED[name]}")
    return given


def _servers(value: str) -> str:
    for server in value.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{server.strip()!r} is not host:port")
    return value


def _tiers(value: tuple[Delay, ...]) -> tuple[Delay, ...]:
    if not value:
        raise ValueError("name at least one delay, such as 30s")
    for one, following in pairwise(value):
        if not one < following:
            raise ValueError(f"{following.text} is not longer than {one.text} before it")
    return value


def _key(value: SecretStr) -> SecretStr:
    try:
        usable = len(base64.b64decode(value.get_secret_value(), validate=True)) == 32
    except (binascii.Error, ValueError):
        usable = False
    if not usable:
        raise ValueError(
            "each key is 32 bytes in base64, as `hooklane secrets generate-key` makes them"
        )
    return value


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class KafkaSettings(Section):
    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field(
        default="localhost:9092",
        description="Brokers to begin with, `host:port` separated by commas.",
    )
    properties: Annotated[dict[str, Property], BeforeValidator(_properties)] = Field(
        default_factory=dict,
        repr=False,
        description="librdkafka properties (security, tuning) as a JSON object; each client takes "
        "those that apply to it.",
    )
    properties_dir: Path | None = Field(
        default=None,
        description="Folder, such as a mounted secret, whose files are properties too: a file is "
        "called like the property, such as `sasl.password`, and holds its value.",
    )
    instance_id: str = Field(
        default_factory=socket.gethostname,
        max_length=200,
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Name of this process in its group (static membership), also in its "
        "transactional id. Two processes of one group need different ones; empty makes a dynamic "
        "member.",
        json_schema_extra={"default_text": "the host's name"},
    )
    session_timeout: Duration = Field(
        default=Delay.parse("10s"),
        description="How long the broker waits for a silent process before its partitions go to "
        "others.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_files(cls, given: Any) -> Any:
        """The files' properties over those that were given, so that they are judged alike."""
        folder = given.get("properties_dir") if isinstance(given, dict) else None
        if not isinstance(folder, str | Path) or not isinstance(given.get("properties", {}), dict):
            return given
        try:
            found = property_files(Path(folder))
        except ValueError as error:
            raise ValueError(f"HOOKLANE_KAFKA__PROPERTIES_DIR: {error}") from error
        return {**given, "properties": {**given.get("properties", {}), **found}}


class TopicSettings(Section):
    prefix: Annotated[str, AfterValidator(topic_name)] = Field(
        default="hooklane",
        max_length=200,
        description="What the names of Hooklane's own topics begin with.",
    )
    partitions: int = Field(
        default=12,
        ge=1,
        le=10_000,
        description="Partitions of the backlog, the tiers, the lanes, the attempts and the dead "
        "letters. It cannot be changed while deliveries wait.",
    )
    replication_factor: int = Field(
        default=-1, ge=-1, description="Copies of each topic; -1 leaves it to the broker."
    )


class Validation(StrEnum):
    """What happens to an event whose data does not fit its type's schema."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


class EventsSettings(Section):
    schemas_dir: Path | None = Field(
        default=None,
        description="Folder of the event types' schemas: `<event type>.avsc` is Avro, "
        "`<event type>.json` a JSON Schema. They are read at the start.",
    )
    validation: Validation = Field(
        default=Validation.OFF,
        description="Whether the fan-out checks events by these schemas: `warn` logs and counts "
        "those that do not fit, `refuse` puts them into the dead letters instead of delivering.",
    )


class FanoutSettings(Section):
    topics: tuple[Annotated[str, AfterValidator(topic_or_pattern)], ...] = Field(
        default=(),
        description="Event topics as a JSON list; one that begins with `^` is a regular "
        "expression. `hooklane fanout` needs at least one.",
    )
    group_id: str = Field(
        default="hooklane-fanout", min_length=1, description="Its consumer group."
    )
    commit_interval: Duration = Field(
        default=Delay.parse("100ms"),
        description="How long settled deliveries are gathered for one transaction: 20ms to 200ms.",
    )
    window_deliveries: int = Field(
        default=2000,
        ge=1,
        description="Unsettled deliveries the process holds before partitions are paused; each "
        "partition has its share.",
    )
    window_bytes: Size = Field(
        default=64 * 2**20,
        ge=2**20,
        description="The same for the bytes of unsettled events.",
        json_schema_extra={"kind_text": "size", "default_text": "`64MiB`"},
    )
    window_span: int = Field(
        default=50_000,
        ge=1,
        description="Offsets between the oldest unsettled event of a partition and the newest "
        "taken, before it is paused.",
    )
    spill_after: Duration = Field(
        default=Delay.parse("2s"),
        description="How long a delivery waits for its lane in this process before it is put into "
        "the backlog.",
    )
    max_in_flight: int = Field(default=1024, ge=1, description="Attempts at once in the process.")
    max_redirects: int = Field(
        default=1000, ge=1, description="Redirected deliveries a transaction."
    )
    revoke_grace: Duration = Field(
        default=Delay.parse("2s"),
        description="How long attempts in flight may go on when a partition is taken away.",
    )
    shutdown_grace: Duration = Field(
        default=Delay.parse("25s"),
        description="How long attempts in flight may go on after SIGTERM.",
    )


class RetrierSettings(Section):
    group_id: str = Field(
        default="hooklane-retrier", min_length=1, description="Its consumer group."
    )
    spool_dir: Path = Field(
        default=Path("hooklane-spool"),
        description="Folder of the retrier's local cache; it may be deleted at any time.",
    )
    max_in_flight: int = Field(default=512, ge=1, description="Attempts at once in the process.")
    revoke_grace: Duration = Field(
        default=Delay.parse("2s"),
        description="How long attempts in flight may go on when a partition is taken away.",
    )
    shutdown_grace: Duration = Field(
        default=Delay.parse("25s"),
        description="How long attempts in flight may go on after SIGTERM.",
    )


class RetrySettings(Section):
    tiers: Annotated[tuple[Duration, ...], AfterValidator(_tiers)] = Field(
        default=tuple(map(Delay.parse, ("5s", "30s", "5m", "30m", "2h", "5h", "10h"))),
        description="Delays as a JSON list, from short to long: each is a topic, and together they "
        "are the schedule of subscriptions that have none.",
    )


class SecretSettings(Section):
    dir: Path | None = Field(
        default=None, description="Folder of the secrets that `file:NAME` refers to."
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Whether subscriptions may hold secrets in the clear (for trials).",
    )
    encryption_keys: tuple[Annotated[SecretStr, AfterValidator(_key)], ...] = Field(
        default=(),
        description="Keys of `enc:v1:` secrets as a JSON list (base64, 32 bytes each): the first "
        "encrypts, all decrypt.",
    )
    encryption_keys_file: Path | None = Field(
        default=None,
        description="File with such keys, one a line, read again when it changes. Its keys come "
        "before those of the list.",
    )
    stores: dict[str, dict[str, JsonValue]] = Field(
        default={},
        description="What is said to plugins that are stores of secrets: a JSON object of their "
        'options by their names, such as `{"vault": {"address": "https://vault.example.com"}}`. '
        "Put no secret there: a plugin reads its own from a file.",
    )


class HttpSettings(Section):
    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - probes and Prometheus come from other hosts
        min_length=1,
        description="Address on which health and metrics are served.",
    )
    port: int = Field(
        default=8080, ge=0, le=65535, description="Port of health and metrics; 0 takes any."
    )


class SchemaRegistrySettings(Section):
    url: SecretUrl | None = Field(
        default=None,
        description="Confluent Schema Registry, or one that speaks like it, for Avro events: where "
        "`/schemas/ids` is, such as `http://registry:8081`.",
        json_schema_extra=URL_KIND,
    )
    username: str | None = Field(
        default=None, min_length=1, description="Name for the registry's basic authentication."
    )
    password: SecretStr | None = Field(default=None, description="Password that goes with it.")
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that may sign the registry's certificate; without "
        "one the system's.",
    )


class TelemetrySettings(Section):
    otlp_endpoint: SecretUrl | None = Field(
        default=None,
        description="OpenTelemetry collector that traces are sent to, by OTLP over HTTP; "
        "`/v1/traces` is added to its path. Without one nothing is traced.",
        json_schema_extra=URL_KIND,
    )
    sample_ratio: float = Field(
        default=0.02,
        ge=0.0,
        le=1.0,
        description="Part of the traces that are recorded, from 0 to 1, chosen by the trace's id. "
        "An event whose publisher does not record its trace is not recorded at all.",
    )
    subscription_labels: int = Field(
        default=100,
        ge=0,
        le=10_000,
        description="Subscriptions that have a label of their own in the metrics that are told by "
        "subscription; those beyond are one label, `other`.",
    )


class LogSettings(Section):
    format: LogFormat = Field(default=LogFormat.CONSOLE, description="`console` or `json`.")
    level: LogLevel = Field(
        default=LogLevel.INFO,
        description="Least level that is logged: `debug`, `info`, `warning`, `error`.",
    )
