"""What a service stands on. It is the same service on a Kafka and on the embedded broker.

async with standing_on_kafka(settings, Service.FANOUT, secrets) as ground:
    async with fanout_running(ground) as running:
        await until_asked_or_failed(shutdown, *running.failures)
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from hooklane.delivery.assemble import open_engine
from hooklane.delivery.attempt import Attempted, Attempter, Delivery
from hooklane.delivery.circuit import Circuits
from hooklane.delivery.exchange import Running as Exchanging
from hooklane.delivery.journal import Journal
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.recorded import SENSITIVE
from hooklane.delivery.traced import traced
from hooklane.delivery.tracing import EventTracing, Tracing
from hooklane.runtime import kafka
from hooklane.runtime.clock import Clock, SystemClock
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.health import Readiness, serve_health
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import ASKED_S, KafkaAdmin
from hooklane.runtime.kafka_settings import access_from, plan_from
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.plugins import installed_plugins
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.subscriptions import ConfigReader
from hooklane.runtime.subscriptions_reader import TopicReader
from hooklane.runtime.topic_apply import Verified, verify_topics
from hooklane.schemas.book import Entry


class Attempts(Protocol):
    """What makes an HTTP attempt of a delivery."""

    def start(self, delivery: Delivery, done: Callable[[Attempted], None]) -> Exchanging: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """One service's. `reader`: of the config topic, for this service alone. `tracing`: of events,
    where they are traced."""

    settings: Settings
    access: KafkaAccess
    admin: KafkaAdmin
    reader: ConfigReader
    limits: Verified
    attempts: Attempts
    circuits: Circuits
    rates: RateLimits
    clock: Clock
    metrics: Metrics
    readiness: Readiness
    tracing: EventTracing | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs: how ready it is, and when it cannot go on.

    `failure`: why it stopped; `following` ends when the subscriptions are not followed any more;
    `failed` tells it of a fault that somebody else met; `in_force` gives a subscription as it knows
    it.
    """

    readiness: Readiness
    failure: asyncio.Future[str]
    following: asyncio.Future[None]
    failed: Callable[[str], None]
    in_force: Callable[[str], Entry | None]

    def check(self) -> None:
        """Raises HooklaneError if it cannot go on."""
        if self.failure.done():
            raise HooklaneError(f"A service cannot go on: {self.failure.result()}.")
        if self.following.done():
            cause = self.following.exception()
            raise HooklaneError(f"The subscriptions cannot be followed: {cause}.")


_MACHINE = SystemClock()


@asynccontextmanager
async def delivering(
    settings: Settings,
    service: Service,
    secrets: KnownSecrets,
    own_ports: frozenset[int],
    rates: RateLimits,
    tracing: Tracing,
    clock: Clock = _MACHINE,
) -> AsyncIterator[Attempts]:
    """What makes the attempts of `service`; its engine is open while this is.

    `rates` are told what receivers allow.

    Raises:
        SettingsError: a setting that this version cannot follow, or a plugin whose name is taken.
    """
    installed_plugins().check()
    resolved = Secrets(settings.secrets, secrets)
    engine = open_engine(settings.delivery, settings.denied_ports | own_ports, resolved, rates)
    try:
        redact = SENSITIVE | frozenset(settings.delivery.redact_headers)
        stores = resolved.stores
        yield Attempter(engine, resolved, clock, service, tracing, redact=redact, stores=stores)
    finally:
        await engine.close()


def watched(
    service: Service, settings: Settings, circuits: Circuits
) -> tuple[Metrics, Readiness, Circuits]:
    """The metrics of a service, which look at its readiness and its circuits."""
    metrics, readiness = Metrics(service, settings.telemetry.subscription_labels), Readiness()
    metrics.restores.facts = readiness.restores
    watch(circuits, metrics)
    return metrics, readiness, circuits


def watch(circuits: Circuits, metrics: Metrics) -> None:
    """Let metrics and log say how they stand."""
    metrics.circuits_open.set_function(circuits.count_open)
    metrics.by_subscription.is_open = circuits.is_open
    circuits.turned = Journal(_MACHINE.monotonic).turned


@asynccontextmanager
async def standing_on_kafka(
    settings: Settings, service: Service, secrets: KnownSecrets, clock: Clock = _MACHINE
) -> AsyncIterator[Ground]:
    """Health is served, the topics are right, and deliveries can go out while this is open.

    Raises:
        HooklaneError: a topic is missing or wrong, Kafka does not answer, a setting is wrong.
    """
    access = access_from(settings)
    admin = KafkaAdmin(access, ASKED_S)
    metrics, readiness, circuits = watched(service, settings, Circuits())
    rates = RateLimits(settings.delivery.rate_share)
    async with (
        serve_health(settings.http, readiness, metrics) as port,
        traced(settings, service, metrics) as tracing,
        # A wrong setting is told before Kafka is asked anything.
        delivering(
            settings, service, secrets, frozenset({port}), rates, tracing.attempts, clock
        ) as attempts,
    ):
        limits = await asyncio.to_thread(verify_topics, admin, plan_from(settings))
        reader = TopicReader(kafka.internal_consumer(access), settings.topic_names.subscriptions)
        yield Ground(
            settings=settings,
            access=access,
            admin=admin,
            reader=reader,
            limits=limits,
            attempts=attempts,
            circuits=circuits,
            rates=rates,
            clock=clock,
            metrics=metrics,
            readiness=readiness,
            tracing=tracing.events,
        )
