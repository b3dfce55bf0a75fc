"""From settings to a running retrier, and to its end."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

from hooklane.delivery.assemble import open_engine
from hooklane.delivery.attempt import Attempter
from hooklane.delivery.circuit import Circuits
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.kafka_side import KafkaBacklog
from hooklane.retrier.known import KnownSubscriptions
from hooklane.retrier.ownership import Ownership
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.service import Retrier
from hooklane.retrier.spool import Spool
from hooklane.retrier.spool_sqlite import open_spool
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.tiers import Tiers
from hooklane.retrier.work import Workshop
from hooklane.retrier.write import FactWriter
from hooklane.retrier.written import Layout
from hooklane.runtime import kafka
from hooklane.runtime.clock import SystemClock
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.group_poll import GroupPoll
from hooklane.runtime.health import Readiness, serve_health
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import ASKED_S, KafkaAdmin
from hooklane.runtime.kafka_clients import open_consumer, open_producer
from hooklane.runtime.kafka_settings import access_from, plan_from, policy_from
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.secrets import Secrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown, end_on_faults, until_asked_or_failed
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.runtime.subscriptions_reader import TopicReader
from hooklane.runtime.topic_apply import verify_topics

_LARGEST_SHARE = 0.5
_ANSWER_S = 30.0


async def run_retrier(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    access = access_from(settings)
    admin = KafkaAdmin(access, ASKED_S)
    metrics, readiness = Metrics(Service.RETRIER), Readiness()
    around = _surroundings(settings, metrics, readiness)
    names, partitions = settings.topic_names, settings.topics.partitions
    tiers = Tiers(names, settings.retry.tiers, partitions)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_health(settings.http, readiness, metrics))
        limits = await asyncio.to_thread(verify_topics, admin, plan_from(settings))
        # Looking a large file over takes seconds, in which the probes must be answered.
        spool = await asyncio.to_thread(
            open_spool, settings.retrier.spool_dir, access.instance_id or uuid4().hex
        )
        stack.callback(spool.close)
        known = KnownSubscriptions(readiness.unknown_formats)
        reader = TopicReader(kafka.internal_consumer(access), names.subscriptions)
        policy = policy_from(settings)
        follower = SubscriptionFollower(reader, policy, known.follow, metrics)
        known.begin(lambda: follower.book)
        stack.push_async_callback(follower.stop)
        await follower.start()
        readiness.subscriptions_read()
        engine = open_engine(settings.delivery, settings.denied_ports | {port})
        stack.push_async_callback(engine.close)
        writer = FactWriter(open_producer(kafka.lasting_producer(access)))
        stack.push_async_callback(writer.stop)
        circuits = Circuits()
        backlog = _backlog(settings, spool, known, circuits, around)
        layout = Layout(names, partitions, limits.dead_letters_max_bytes)
        attempts = Attempter(
            engine, Secrets(settings.secrets, secrets), around.clock, Service.RETRIER
        )
        workshop = Workshop(backlog, spool, attempts, writer, layout, circuits, around)
        questions = KafkaBacklog(access, admin, names, partitions)
        ownership = Ownership(questions, tiers, spool, backlog, workshop, writer.flush, around)
        retrier = Retrier(spool, backlog, workshop, ownership, questions, tiers, around)
        end_on_faults(retrier.failed)
        writer.start(workshop.acked, retrier.failed)
        retrier.start(_source(settings, access, retrier, tiers, around))
        try:
            await until_asked_or_failed(shutdown, retrier.failure, follower.failed)
        finally:
            await retrier.stop(settings.retrier.shutdown_grace.seconds)


def _surroundings(settings: Settings, metrics: Metrics, readiness: Readiness) -> Surroundings:
    clock = SystemClock()
    return Surroundings(
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=metrics,
        readiness=readiness,
        grace_s=settings.retrier.revoke_grace.seconds,
    )


def _backlog(
    settings: Settings,
    spool: Spool,
    known: KnownSubscriptions,
    circuits: Circuits,
    around: Surroundings,
) -> Backlog:
    most = settings.retrier.max_in_flight
    gate = TaskGate(
        known,
        lambda url: circuits.refuses(url, around.clock.monotonic()),
        max(1, round(most * _LARGEST_SHARE)),
    )
    return Backlog(spool, gate, Resolver(policy_from(settings)), most)


def _source(
    settings: Settings, access: KafkaAccess, retrier: Retrier, tiers: Tiers, around: Surroundings
) -> GroupPoll:
    config = {
        **kafka.group_consumer(access, settings.retrier.group_id),
        # Ends are told, so that a restore knows when it has come to them; and soon.
        "enable.partition.eof": "true",
        "fetch.wait.max.ms": "50",
    }
    return GroupPoll(
        open_consumer(config),
        [tiers.backlog],
        retrier,
        around.clock.monotonic,
        _ANSWER_S,
        tiers.along,
    )
