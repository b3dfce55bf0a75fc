"""From settings to a running fan-out, and to its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from hooklane.delivery.ground import Ground, Running, standing_on_kafka
from hooklane.fanout.commit import Pace, Write
from hooklane.fanout.kafka_side import KafkaSide, open_clients
from hooklane.fanout.lag import keep_measuring_lag
from hooklane.fanout.match import Matcher
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.process import Process
from hooklane.fanout.reading import reading_of
from hooklane.fanout.rules import Rules
from hooklane.fanout.service import FanOut, Limits, Outside
from hooklane.fanout.settle import Settler
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.transaction import Layout
from hooklane.fanout.window import Window
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.group_watch import kept_divided
from hooklane.runtime.health import Readiness
from hooklane.runtime.kafka_settings import policy_from, tenants_from
from hooklane.runtime.metrics import Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown, end_on_faults, until_asked_or_failed
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.schemas.book import BookChange

_LARGEST_SHARE = 0.5


async def run_fanout(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    settings.event_topics()
    async with (
        standing_on_kafka(settings, Service.FANOUT, secrets) as ground,
        fanout_running(ground) as running,
    ):
        end_on_faults(running.failed)
        await until_asked_or_failed(shutdown, running.failure, running.following)


def _unwatched(write: Write) -> Write:
    return write


@asynccontextmanager
async def fanout_running(
    ground: Ground, watched: Callable[[Write], Write] = _unwatched
) -> AsyncIterator[Running]:
    """A fan-out that runs while this is open. `watched` wraps what writes its transactions.

    Raises:
        HooklaneError: it cannot start.
    """
    settings, metrics, readiness = ground.settings, ground.metrics, ground.readiness
    clock = ground.clock
    process = Process(
        group=settings.fanout.group_id,
        owned=OwnedPartitions(),
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
        circuits=ground.circuits,
        limits=ground.rates,
        tracing=ground.tracing,
        tenants=tenants_from(settings),
    )
    async with AsyncExitStack() as stack:
        reading = await stack.enter_async_context(reading_of(settings, metrics, clock.monotonic))
        subscribed = Subscribed(Matcher(tenants=process.tenants))
        watch = _Watch(subscribed, readiness)
        policy = policy_from(settings)
        follower = SubscriptionFollower(ground.reader, policy, watch.changed, metrics)
        stack.push_async_callback(follower.stop)
        # Before the subscriptions are read: the clients find their brokers meanwhile. A member that
        # has not found its coordinator at once asks again after half a second.
        layout = Layout(settings.topic_names, settings.topics.partitions, process.group)
        side = KafkaSide(open_clients(ground.access, layout), ground.admin, process, layout)
        stack.push_async_callback(side.close)
        await follower.start()
        readiness.subscriptions_read()
        await side.open()
        outside = Outside(
            source=side.source(settings.event_topics(), settings.fanout.revoke_grace.seconds),
            restorer=side.restorer,
            topics=side.topics,
            attempts=ground.attempts,
            write=watched(side.write),
            reopen=side.reopen,
        )
        rules = Rules(
            Settler(process.group, settings.retry.tiers),
            policy,
            ground.limits.backlog_max_bytes,
            ground.limits.dead_letters_max_bytes,
        )
        fanout = FanOut(process, outside, subscribed, rules, limits_of(settings), reading)
        watch.begin(fanout, follower)
        fanout.start()
        stack.push_async_callback(fanout.stop)
        stack.enter_context(
            kept_divided(
                ground.access,
                ground.admin,
                process.group,
                settings.topic_names.subscriptions,
                settings.consumes,
                settings.fanout.revoke_grace.seconds,
                clock.monotonic,
            )
        )
        measuring = asyncio.create_task(keep_measuring_lag(process.owned, ground.admin, metrics))
        stack.callback(measuring.cancel)
        yield Running(readiness, fanout.failure, follower.failed, fanout.failed, subscribed.entry)


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
