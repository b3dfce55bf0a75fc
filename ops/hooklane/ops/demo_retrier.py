"""The demonstration's retrier: the real one, on the embedded broker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hooklane.delivery.attempt import Attempter
from hooklane.delivery.circuit import Circuits
from hooklane.ops.demo_broker import LARGEST_RECORD, ConfigTopic, EmbeddedAdmin
from hooklane.ops.demo_ground import Ground, Running
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.kafka_side import KafkaBacklog
from hooklane.retrier.known import KnownSubscriptions
from hooklane.retrier.ownership import Ownership
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.service import Retrier
from hooklane.retrier.spool_sqlite import open_spool
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.tiers import Tiers
from hooklane.retrier.work import Workshop
from hooklane.retrier.write import FactWriter
from hooklane.retrier.written import Layout
from hooklane.runtime import kafka
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.group_poll import GroupPoll
from hooklane.runtime.health import Readiness
from hooklane.runtime.kafka_clients import open_consumer, open_producer
from hooklane.runtime.kafka_settings import access_from, policy_from
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.subscriptions import SubscriptionFollower

_SHARE = 64
_ANSWER_S = 10.0


@asynccontextmanager
async def retrier_running(ground: Ground, spool_dir: Path) -> AsyncIterator[Running]:
    """A retrier whose spool is in `spool_dir`."""
    settings, metrics, readiness = ground.settings, Metrics(Service.RETRIER), Readiness()
    access, names = access_from(settings), settings.topic_names
    partitions = settings.topics.partitions
    tiers = Tiers(names, settings.retry.tiers, partitions)
    around = _surroundings(ground, metrics, readiness)
    async with AsyncExitStack() as stack:
        spool = open_spool(spool_dir, access.instance_id)
        stack.callback(spool.close)
        known = KnownSubscriptions(readiness.unknown_formats)
        follower = SubscriptionFollower(
            ConfigTopic(access, names.subscriptions), policy_from(settings), known.follow, metrics
        )
        known.begin(lambda: follower.book)
        stack.push_async_callback(follower.stop)
        await follower.start()
        readiness.subscriptions_read()
        writer = FactWriter(open_producer(kafka.lasting_producer(access)))
        stack.push_async_callback(writer.stop)
        circuits = Circuits(ground.circuits)
        gate = TaskGate(known, lambda url: circuits.refuses(url, ground.clock.monotonic()), _SHARE)
        most = settings.retrier.max_in_flight
        backlog = Backlog(spool, gate, Resolver(policy_from(settings)), most)
        attempts = Attempter(ground.engine, ground.secrets, ground.clock, Service.RETRIER)
        layout = Layout(names, partitions, LARGEST_RECORD)
        workshop = Workshop(backlog, spool, attempts, writer, layout, circuits, around)
        questions = KafkaBacklog(access, EmbeddedAdmin(access), names, partitions)
        ownership = Ownership(questions, tiers, spool, backlog, workshop, writer.flush, around)
        retrier = Retrier(spool, backlog, workshop, ownership, questions, tiers, around)
        writer.start(workshop.acked, retrier.failed)
        config = {
            **kafka.group_consumer(access, settings.retrier.group_id),
            "enable.partition.eof": "true",
        }
        consumer = open_consumer(config)
        monotonic = ground.clock.monotonic
        retrier.start(
            GroupPoll(consumer, [tiers.backlog], retrier, monotonic, _ANSWER_S, tiers.along)
        )
        stack.push_async_callback(retrier.stop, settings.retrier.shutdown_grace.seconds)
        yield Running(readiness, (retrier.failure, follower.failed))


def _surroundings(ground: Ground, metrics: Metrics, readiness: Readiness) -> Surroundings:
    settings, clock = ground.settings, ground.clock
    return Surroundings(
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
        grace_s=settings.retrier.revoke_grace.seconds,
    )
