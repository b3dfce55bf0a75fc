"""All settings, from the environment and from `hooklane.toml`.

    settings = load_settings()
    settings.kafka.session_timeout.seconds   # durations are Delay values
    settings.topic_names.backlog

A name is `HOOKLANE_<SECTION>__<NAME>` in the environment, `name` under `[section]` in the file;
the environment comes first. The file is the one that was asked for (`--config`), else the one
that HOOKLANE_CONFIG_FILE names, else `hooklane.toml` in the current folder if it is there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hooklane.runtime.errors import SettingsError
from hooklane.runtime.settings_console import ConsoleSettings
from hooklane.runtime.settings_delivery import DeliverySettings
from hooklane.runtime.settings_outbox import OutboxSettings
from hooklane.runtime.settings_sections import (
    EventsSettings,
    FanoutSettings,
    HttpSettings,
    KafkaSettings,
    LogFormat,
    LogLevel,
    LogSettings,
    RetrierSettings,
    RetrySettings,
    SchemaRegistrySettings,
    SecretSettings,
    TelemetrySettings,
    TopicSettings,
)
from hooklane.runtime.settings_source import (
    EnvironmentSource,
    FileSource,
    Given,
    describe,
    find_file,
    merged,
)
from hooklane.runtime.settings_tenants import TenantSettings
from hooklane.schemas.topics import TopicNames, covered, covers

__all__ = ["LogFormat", "LogLevel", "Settings", "load_settings", "read_settings"]


class Settings(BaseSettings):
    """What the services and commands are told from outside. Frozen; see settings_sections."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="HOOKLANE_", hide_input_in_errors=True
    )

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    events: EventsSettings = EventsSettings()
    fanout: FanoutSettings = FanoutSettings()
    retrier: RetrierSettings = RetrierSettings()
    retry: RetrySettings = RetrySettings()
    delivery: DeliverySettings = DeliverySettings()
    tenants: TenantSettings = TenantSettings()
    secrets: SecretSettings = SecretSettings()
    outbox: OutboxSettings = OutboxSettings()
    http: HttpSettings = HttpSettings()
    console: ConsoleSettings = ConsoleSettings()
    schema_registry: SchemaRegistrySettings = SchemaRegistrySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given: `read_settings` brings the sources, since it knows which file."""
        return (init_settings,)

    @model_validator(mode="after")
    def _judge_together(self) -> Self:
        own = tuple(self.topic_names.all(self.retry.tiers))
        for topic in self.fanout.topics:
            hit = next((name for name in own if covers(topic, name)), None)
            if hit is not None:
                raise ValueError(
                    f"HOOKLANE_FANOUT__TOPICS: {topic!r} covers {hit}, a topic of Hooklane's own"
                )
        if not 0.02 <= self.fanout.commit_interval.seconds <= 0.2:
            raise ValueError("HOOKLANE_FANOUT__COMMIT_INTERVAL: must be from 20ms to 200ms")
        if not 1 <= self.kafka.session_timeout.seconds <= 1800:
            raise ValueError("HOOKLANE_KAFKA__SESSION_TIMEOUT: must be from 1s to 30m")
        if not 60 <= self.console.history.seconds <= 86_400:
            raise ValueError("HOOKLANE_CONSOLE__HISTORY: must be from 1m to 24h")
        if self.topics.replication_factor == 0:
            raise ValueError("HOOKLANE_TOPICS__REPLICATION_FACTOR: must be -1 or at least 1")
        return self

    @property
    def topic_names(self) -> TopicNames:
        return TopicNames(self.topics.prefix)

    @property
    def denied_ports(self) -> frozenset[int]:
        """Ports that no delivery may reach: the deny list, Kafka's, and the service's own."""
        kafka = (int(one.rpartition(":")[2]) for one in self.kafka.bootstrap_servers.split(","))
        return frozenset((*self.delivery.deny_ports, *kafka, self.http.port))

    def event_topics(self) -> tuple[str, ...]:
        """What the fan-out consumes.

        Raises:
            SettingsError: no topic is named.
        """
        if not self.fanout.topics:
            raise SettingsError(
                "No event topic is named: set HOOKLANE_FANOUT__TOPICS to a JSON list such as "
                '["orders.events"].'
            )
        return self.fanout.topics

    def consumes(self, name: str) -> bool:
        """Whether the fan-out consumes a topic of that name."""
        return covered(name, self.fanout.topics)


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings from `file` (or the default file) and the environment.

    Raises:
        SettingsError: a wrong or unknown setting, named in one sentence.
    """
    return read_settings(file, environ)[0]


def read_settings(
    file: Path | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Settings, Given]:
    """As `load_settings`, and what was given where."""
    environ = os.environ if environ is None else environ
    path = find_file(file, environ)
    given = Given(
        path=path,
        file={} if path is None else FileSource(Settings, path)(),
        environment=EnvironmentSource(Settings, environ)(),
    )
    try:
        return Settings.model_validate(merged(given)), given
    except ValidationError as error:
        raise SettingsError(describe(error, given)) from error
