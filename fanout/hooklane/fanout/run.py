"""From settings to a running fan-out, and to its end."""

import asyncio
from contextlib import AsyncExitStack

from hooklane.delivery.attempt import Attempter
from hooklane.delivery.engine.native import NativeEngine
from hooklane.delivery.engine.tls import verifying_context
from hooklane.delivery.guard import NOT_FOR_WEBHOOKS, Guard, Policy
from hooklane.delivery.resolve import Resolver, SystemLookup
from hooklane.fanout.commit import Pace
from hooklane.fanout.fence import Fence
from hooklane.fanout.kafka_side import KafkaSide
from hooklane.fanout.match import Matcher
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.process import Process
from hooklane.fanout.rules import Rules
from hooklane.fanout.service import FanOut, Limits, Outside
from hooklane.fanout.settle import Settler
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.transaction import Layout
from hooklane.fanout.window import Window
from hooklane.runtime import kafka
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.health import Readiness, serve_health
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.runtime.subscriptions_reader import TopicReader
from hooklane.schemas.subscription_values import ServicePolicy

_FENCE_SETTLES_S = 0.5
_LARGEST_SHARE = 0.5


async def run_fanout(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    topics = settings.event_topics()
    access = access_of(settings)
    admin = KafkaAdmin(access)
    metrics, readiness = Metrics(Service.FANOUT), Readiness()
    clock = SystemClock()
    process = Process(
        group=settings.fanout.group_id,
        owned=OwnedPartitions(),
        fence=Fence(settings.kafka.session_timeout.seconds, _FENCE_SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_health(settings.http, readiness, metrics))
        await asyncio.to_thread(admin.check_reachable)
        subscribed = Subscribed(Matcher())
        follower = await _follow(settings, access, subscribed, metrics, stack)
        readiness.subscriptions_read()
        engine = _engine(settings)
        stack.push_async_callback(engine.close)
        layout = Layout(settings.topic_names, settings.topics.partitions, process.group)
        side = KafkaSide(access, admin, process, layout)
        stack.push_async_callback(side.close)
        await side.open()
        grace_s = settings.fanout.revoke_grace.seconds
        outside = Outside(
            source=side.source(topics, grace_s),
            restorer=side.restorer,
            topics=side.topics,
            attempts=Attempter(engine, Secrets(settings.secrets, secrets), clock, Service.FANOUT),
            write=side.write,
        )
        rules = await _rules(settings, admin)
        fanout = FanOut(process, outside, subscribed, rules, limits_of(settings))
        fanout.start()
        try:
            await _until_asked_or_failed(shutdown, fanout, follower)
        finally:
            await fanout.stop()


def access_of(settings: Settings) -> KafkaAccess:
    """How the settings say that Kafka is reached."""
    return KafkaAccess(
        settings.kafka.bootstrap_servers,
        settings.kafka.properties,
        settings.kafka.instance_id,
        settings.kafka.session_timeout.seconds,
    )


def policy_of(settings: Settings) -> ServicePolicy:
    """What subscriptions are allowed here."""
    return ServicePolicy(
        tiers=settings.retry.tiers,
        allow_http=settings.delivery.allow_http,
        allow_plaintext_secrets=settings.secrets.allow_plaintext,
    )


def limits_of(settings: Settings) -> Limits:
    """How much of everything this process takes on."""
    fanout = settings.fanout
    return Limits(
        max_in_flight=fanout.max_in_flight,
        share=max(1, round(fanout.max_in_flight * _LARGEST_SHARE)),
        patience_s=fanout.spill_after.seconds,
        window=Window(fanout.window_deliveries, fanout.window_bytes, fanout.window_span),
        pace=Pace(fanout.commit_interval.seconds, fanout.max_redirects),
        revoke_grace_s=fanout.revoke_grace.seconds,
        shutdown_grace_s=fanout.shutdown_grace.seconds,
    )


async def _follow(
    settings: Settings,
    access: KafkaAccess,
    subscribed: Subscribed,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> SubscriptionFollower:
    reader = TopicReader(kafka.internal_consumer(access), settings.topic_names.subscriptions)
    follower = SubscriptionFollower(reader, policy_of(settings), subscribed.follow, metrics)
    stack.push_async_callback(follower.stop)
    await follower.start()
    return follower


def _engine(settings: Settings) -> NativeEngine:
    policy = Policy(
        allow=settings.delivery.allow_networks,
        denied_ports=NOT_FOR_WEBHOOKS | settings.denied_ports,
        allow_http=settings.delivery.allow_http,
    )
    return NativeEngine(Resolver(Guard(policy), SystemLookup()), verifying_context())


async def _rules(settings: Settings, admin: KafkaAdmin) -> Rules:
    """The documents' rules, with the limits that the topics have now."""
    names = settings.topic_names
    configs = await asyncio.to_thread(admin.configs, [names.backlog, names.dead_letters])
    settler = Settler(settings.fanout.group_id, settings.retry.tiers)
    return Rules(
        settler,
        policy_of(settings),
        int(configs[names.backlog]["max.message.bytes"]),
        int(configs[names.dead_letters]["max.message.bytes"]),
    )


async def _until_asked_or_failed(
    shutdown: Shutdown, fanout: FanOut, follower: SubscriptionFollower
) -> None:
    asked = asyncio.create_task(shutdown.wait())
    await asyncio.wait(
        (asked, fanout.failure, follower.failed), return_when=asyncio.FIRST_COMPLETED
    )
    asked.cancel()
    if fanout.failure.done():
        raise HooklaneError(fanout.failure.result())
    if follower.failed.done():
        raise HooklaneError(f"The subscriptions cannot be followed: {follower.failed.exception()}.")
