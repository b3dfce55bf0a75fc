"""What a service stands on where the broker is the embedded one: the same service, no Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hooklane.delivery.circuit import Circuits, CircuitTerms
from hooklane.delivery.ground import Ground, delivering, watched
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.traced import traced
from hooklane.ops.embedded_broker import LARGEST_RECORD, EmbeddedAdmin, EmbeddedReader
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.metrics import Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.topic_apply import Verified

CIRCUITS = CircuitTerms(cool_down_s=1.0, cap_s=1.0)
"""Shorter than a service's: somebody is looking on."""


@asynccontextmanager
async def standing_on_embedded(
    settings: Settings, service: Service, secrets: KnownSecrets
) -> AsyncIterator[Ground]:
    """Its topics are there already; deliveries can go out while this is open.

    Raises:
        SettingsError: a setting that this version cannot follow.
    """
    access = access_from(settings)
    rates = RateLimits(settings.delivery.rate_share)
    metrics, readiness, circuits = watched(service, settings, Circuits(CIRCUITS))
    async with (
        traced(settings, service, metrics) as tracing,
        delivering(settings, service, secrets, frozenset(), rates, tracing.attempts) as attempts,
    ):
        yield Ground(
            settings=settings,
            access=access,
            admin=EmbeddedAdmin(access),
            reader=EmbeddedReader(access, settings.topic_names.subscriptions),
            limits=Verified(LARGEST_RECORD, LARGEST_RECORD),
            attempts=attempts,
            circuits=circuits,
            rates=rates,
            clock=SystemClock(),
            metrics=metrics,
            readiness=readiness,
            tracing=tracing.events,
        )
