"""Every setting, by section: its type, its default and what it means.

`docs/settings.md` is made from this module, so a description is written for an operator.
"""

import base64
import binascii
import re
import socket
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.config import JsonDict

from hooklane.runtime.kafka_properties import OWNED, Property
from hooklane.runtime.settings_types import (
    Duration,
    Network,
    SecretUrl,
    Size,
    topic_name,
    topic_or_pattern,
)
from hooklane.schemas.subscription_values import EngineName
from hooklane.schemas.topics import Delay

_URL: Final[JsonDict] = {"kind_text": "URL"}

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"{_LABEL}(?:[.]{_LABEL})*")

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_SECRET_WORDS: Final = (
    "password",
    "secret",
    "oauthbearer.config",
    "passphrase",
    "key.pem",
    "private.key",
)


def is_secret_property(name: str) -> bool:
    """Whether a librdkafka property's value must never be shown."""
    return any(word in name for word in _SECRET_WORDS)


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


def header_name(value: str) -> str:
    """A header's name in lower case.

    Raises:
        ValueError: it is none.
    """
    if not _HEADER_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a header's name such as x-session")
    return value.lower()


def _dns_name(value: str) -> str:
    if not _DNS_NAME.fullmatch(value) or len(value) > 253:
        raise ValueError(f"{value!r} is not a DNS name such as events.example.com")
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


class Section(BaseModel):
    """What all sections have in common: no unknown names, no change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
    max_in_flight: int = Field(default=512, ge=1, description="Attempts at once in the process.")
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


class DeliverySettings(Section):
    allow_http: bool = Field(
        default=False, description="Whether `http://` URLs may be delivered to."
    )
    allow_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks (JSON list of CIDRs) that may be reached although they are private.",
    )
    deny_networks: tuple[Network, ...] = Field(
        default=(),
        description="Networks (JSON list of CIDRs) that are never reached, although public or "
        "allowed.",
    )
    deny_ports: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = Field(
        default=(0, 22, 25),
        description="Ports that are never delivered to (JSON list), besides Kafka's and the "
        "service's own.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="File of authorities (PEM) that receivers' certificates are checked against "
        "besides the system's, read again when it changes.",
    )
    engine: EngineName = Field(
        default=EngineName.NATIVE,
        description="HTTP client of subscriptions that name none: `native`, or the slower `httpx`.",
    )
    origin: Annotated[str, AfterValidator(_dns_name)] | None = Field(
        default=None,
        description="DNS name that this installation goes by where subscriptions ask for a "
        "`delivery.handshake`.",
    )
    rate_share: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="Part of each subscription's `delivery.rate_limit` that this process may use. "
        "Processes do not know of each other: with two fan-outs and one retrier, 0.33 in each "
        "keeps them together below the limit.",
    )
    proxy: SecretUrl | None = Field(
        default=None,
        description="HTTP proxy for all deliveries, `http://` or `https://`, with a user's name "
        "and password if it asks for them. `HTTP_PROXY` and its kin are never read.",
        json_schema_extra=_URL,
    )
    proxy_judges: bool = Field(
        default=False,
        description="Whether the proxy looks names up and decides who may be reached. Otherwise "
        "the address guard does, and the proxy is asked for the judged address.",
    )
    max_request: Size = Field(
        default=16 * 2**20,
        ge=1024,
        description="How large the body of a request may be; an event that makes a larger one goes "
        "to the dead letters.",
        json_schema_extra={"kind_text": "size", "default_text": "`16MiB`"},
    )
    redact_headers: tuple[Annotated[str, AfterValidator(header_name)], ...] = Field(
        default=(),
        description="Names (JSON list) of response headers whose values are kept out of the "
        "attempt records, besides `set-cookie` and others that carry credentials.",
    )
    max_response: Size = Field(
        default=64 * 1024,
        ge=1024,
        le=16 * 2**20,
        description="How much of a response is read before its connection is dropped.",
        json_schema_extra={"kind_text": "size", "default_text": "`64KiB`"},
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
        description="Confluent Schema Registry, for Avro events.",
        json_schema_extra=_URL,
    )


class TelemetrySettings(Section):
    otlp_endpoint: SecretUrl | None = Field(
        default=None,
        description="OpenTelemetry collector for traces. This version does not send any yet.",
        json_schema_extra=_URL,
    )


class LogSettings(Section):
    format: LogFormat = Field(default=LogFormat.CONSOLE, description="`console` or `json`.")
    level: LogLevel = Field(
        default=LogLevel.INFO,
        description="Least level that is logged: `debug`, `info`, `warning`, `error`.",
    )
