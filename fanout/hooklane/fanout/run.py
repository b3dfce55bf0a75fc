"""From settings to a running fan-out, and to its end."""

import asyncio
from contextlib import AsyncExitStack

from hooklane.delivery.assemble import open_engine
from hooklane.delivery.attempt import Attempter
from hooklane.delivery.circuit import Circuits
from hooklane.fanout.commit import Pace
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
from hooklane.runtime.errors import SettingsError
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.health import Readiness, serve_health
from hooklane.runtime.kafka_admin import ASKED_S, KafkaAdmin
from hooklane.runtime.kafka_settings import access_from, plan_from, policy_from
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown, end_on_faults, until_asked_or_failed
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.runtime.subscriptions_reader import TopicReader
from hooklane.runtime.topic_apply import verify_topics
from hooklane.schemas.book import BookChange

_LARGEST_SHARE = 0.5


async def run_fanout(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    topics = settings.event_topics()
    if settings.delivery.proxy is not None:
        # Better no delivery than one that goes out past the proxy.
        raise SettingsError("HOOKLANE_DELIVERY__PROXY is not supported by this version: unset it.")
    access = access_from(settings)
    admin = KafkaAdmin(access, ASKED_S)
    metrics, readiness = Metrics(Service.FANOUT), Readiness()
    clock = SystemClock()
    process = Process(
        group=settings.fanout.group_id,
        owned=OwnedPartitions(),
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
        circuits=Circuits(),
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_health(settings.http, readiness, metrics))
        limits = await asyncio.to_thread(verify_topics, admin, plan_from(settings))
        subscribed = Subscribed(Matcher())
        watch = _Watch(subscribed, readiness)
        reader = TopicReader(kafka.internal_consumer(access), settings.topic_names.subscriptions)
        follower = SubscriptionFollower(reader, policy_from(settings), watch.changed, metrics)
        stack.push_async_callback(follower.stop)
        await follower.start()
        readiness.subscriptions_read()
        engine = open_engine(settings.delivery, settings.denied_ports | {port})
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
            reopen=side.reopen,
        )
        rules = Rules(
            Settler(process.group, settings.retry.tiers),
            policy_from(settings),
            limits.backlog_max_bytes,
            limits.dead_letters_max_bytes,
        )
        fanout = FanOut(process, outside, subscribed, rules, limits_of(settings))
        end_on_faults(fanout.failed)
        watch.begin(fanout, follower)
        fanout.start()
        try:
            await until_asked_or_failed(shutdown, fanout.failure, follower.failed)
        finally:
            await fanout.stop()


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


class _Watch:
    """Passes changes on, and holds the events while a subscription cannot be understood at all.

    An id of which every version has a format that only a newer version knows: to go on would be
    to skip its events.
    """

    def __init__(self, subscribed: Subscribed, readiness: Readiness) -> None:
        self._subscribed = subscribed
        self._readiness = readiness
        self._fanout: FanOut | None = None
        self._follower: SubscriptionFollower | None = None

    def changed(self, change: BookChange) -> None:
        self._subscribed.follow(change)
        self._judge()

    def begin(self, fanout: FanOut, follower: SubscriptionFollower) -> None:
        self._fanout, self._follower = fanout, follower
        self._judge()

    def _judge(self) -> None:
        if self._fanout is None or self._follower is None:
            return
        unknown = self._follower.book.unready()
        self._readiness.unknown_formats(unknown)
        if unknown:
            self._fanout.take_no_events()
        else:
            self._fanout.take_events()
