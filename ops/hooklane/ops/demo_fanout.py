"""The demonstration's fan-out: the real one, on the embedded broker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from hooklane.delivery.attempt import Attempter
from hooklane.delivery.circuit import Circuits
from hooklane.fanout.commit import Write
from hooklane.fanout.kafka_side import KafkaSide
from hooklane.fanout.match import Matcher
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.process import Process
from hooklane.fanout.redirect import Share
from hooklane.fanout.rules import Rules
from hooklane.fanout.run import limits_of
from hooklane.fanout.service import FanOut, Outside
from hooklane.fanout.settle import Settler
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.transaction import Layout
from hooklane.fanout.writer import CommitResult
from hooklane.ops.demo_broker import LARGEST_RECORD, ConfigTopic, EmbeddedAdmin
from hooklane.ops.demo_ground import Ground, Running
from hooklane.ops.demo_lanes import LaneBoard
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.health import Readiness
from hooklane.runtime.kafka_settings import access_from, policy_from
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.subscriptions import SubscriptionFollower


@asynccontextmanager
async def fanout_running(ground: Ground, board: LaneBoard) -> AsyncIterator[Running]:
    """A fan-out that tells `board` of its transactions."""
    settings, metrics, readiness = ground.settings, Metrics(Service.FANOUT), Readiness()
    access, names = access_from(settings), settings.topic_names
    process = Process(
        group=settings.fanout.group_id,
        owned=OwnedPartitions(),
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, ground.clock.monotonic()),
        clock=ground.clock,
        metrics=metrics,
        readiness=readiness,
        circuits=Circuits(ground.circuits),
    )
    async with AsyncExitStack() as stack:
        subscribed = Subscribed(Matcher())
        follower = SubscriptionFollower(
            ConfigTopic(access, names.subscriptions),
            policy_from(settings),
            subscribed.follow,
            metrics,
        )
        stack.push_async_callback(follower.stop)
        await follower.start()
        readiness.subscriptions_read()
        layout = Layout(names, settings.topics.partitions, process.group)
        side = KafkaSide(access, EmbeddedAdmin(access), process, layout)
        await side.open()
        outside = Outside(
            source=side.source(settings.event_topics(), settings.fanout.revoke_grace.seconds),
            restorer=side.restorer,
            topics=side.topics,
            attempts=Attempter(ground.engine, ground.secrets, ground.clock, Service.FANOUT),
            write=_watched(side.write, board),
            reopen=side.reopen,
        )
        rules = Rules(
            Settler(process.group, settings.retry.tiers),
            policy_from(settings),
            LARGEST_RECORD,
            LARGEST_RECORD,
        )
        fanout = FanOut(process, outside, subscribed, rules, limits_of(settings))
        # Not before: the lanes' thread, which it waits for, was started just now.
        stack.push_async_callback(side.close)
        fanout.start()
        stack.push_async_callback(fanout.stop)
        yield Running(readiness, (fanout.failure, follower.failed))


def _watched(write: Write, board: LaneBoard) -> Write:
    async def watched(shares: Sequence[Share], metadata: bytes) -> CommitResult:
        result = await write(shares, metadata)
        if result is CommitResult.COMMITTED:
            board.committed(shares)
        return result

    return watched
