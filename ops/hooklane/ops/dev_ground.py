"""Where `hooklane dev` stands: on the embedded broker at a fixed port, or on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hooklane.delivery.circuit import Circuits
from hooklane.delivery.ground import Ground, standing_on_kafka, watch
from hooklane.ops.dev_board import Told, WatchedAttempts
from hooklane.ops.dev_relay import relayed
from hooklane.ops.dev_settings import Around, all_topics_but, on_embedded, on_kafka
from hooklane.ops.embedded_broker import embedded_broker, make_topics
from hooklane.ops.embedded_ground import CIRCUITS, standing_on_embedded
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.errors import TopicsError
from hooklane.runtime.kafka_admin import KafkaAdmin, check_reachable
from hooklane.runtime.kafka_settings import access_from, plan_from
from hooklane.runtime.metrics import Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.settings_source import Given
from hooklane.runtime.topic_apply import Change, apply_topics, check_topics, create_event_topics
from hooklane.runtime.topic_words import complaint

_REACH_S = 5.0
_ANSWER_S = 5.0

Standing = Callable[[Settings, Service, KnownSecrets], AbstractAsyncContextManager[Ground]]


@dataclass(frozen=True, slots=True)
class Place:
    """A broker that is there, with Hooklane's own topics on it.

    `settings_for` gives the settings with these event topics; `follows_all` says that every topic
    is consumed, whatever is named. `make_event_topics` blocks, and says what it made.
    """

    address: str
    is_real: bool
    settings_for: Callable[[Sequence[str]], Settings]
    make_event_topics: Callable[[Sequence[str]], list[str]]
    config_topic: ConfigTopic
    standing: Standing

    @asynccontextmanager
    async def ground(
        self, settings: Settings, service: Service, secrets: KnownSecrets, told: Told
    ) -> AsyncIterator[Ground]:
        """What a service stands on here; `told` of each of its attempts."""
        async with self.standing(settings, service, secrets) as ground:
            # Somebody looks on who has just mended the receiver: no circuit stays open for long.
            circuits = Circuits(CIRCUITS)
            watch(circuits, ground.metrics)
            yield replace(
                ground, attempts=WatchedAttempts(ground.attempts, told), circuits=circuits
            )


@asynccontextmanager
async def embedded_place(given: Given, port: int, spool: Path) -> AsyncIterator[Place]:
    """The embedded broker, at a fixed port while this is open.

    Raises:
        HooklaneError: it does not start, the port is taken, or a setting is wrong.
    """
    async with embedded_broker() as broker, relayed(port, broker) as address:

        def settings_for(_: Sequence[str]) -> Settings:
            # All of them, so that nothing has to be named, and none comes too late: this
            # broker forgets what was committed, and a fan-out made anew would repeat it all.
            prefix = on_embedded(given, Around(broker, (), spool)).topics.prefix
            return on_embedded(given, Around(broker, (all_topics_but(f"{prefix}."),), spool))

        settings = settings_for(())
        access, names = access_from(settings), settings.topic_names

        def make(topics: Sequence[str]) -> list[str]:
            make_topics(access, (one for one in topics if not one.startswith("^")))
            return []

        await asyncio.to_thread(make, list(names.all(settings.retry.tiers)))
        config = ConfigTopic(settings, _ANSWER_S)
        yield Place(address, False, settings_for, make, config, standing_on_embedded)


@asynccontextmanager
async def kafka_place(
    given: Given, servers: str, spool: Path, made: Callable[[str], None]
) -> AsyncIterator[Place]:
    """A real Kafka, with Hooklane's topics made where they are missing; `made` is told of each.

    Raises:
        HooklaneError: Kafka does not answer, a topic is not as it must be, or a setting is wrong.
    """

    def settings_for(topics: Sequence[str]) -> Settings:
        return on_kafka(given, Around(servers, tuple(topics), spool))

    settings = settings_for(())
    admin = await asyncio.to_thread(_own_topics, settings, made)

    def make(topics: Sequence[str]) -> list[str]:
        return [_told(one) for one in create_event_topics(admin, topics)]

    yield Place(
        servers, True, settings_for, make, ConfigTopic(settings, _ANSWER_S), standing_on_kafka
    )


def _own_topics(settings: Settings, made: Callable[[str], None]) -> KafkaAdmin:
    access, plan = access_from(settings), plan_from(settings)
    check_reachable(access, _REACH_S)
    admin = KafkaAdmin(access)
    for change in apply_topics(admin, plan):
        made(_told(change))
    vital = [one for one in check_topics(admin, plan) if one.vital]
    if vital:
        raise TopicsError(complaint(vital))
    return admin


def _told(change: Change) -> str:
    return f"topic {change.topic} {change.deed.value}: {change.detail}"
