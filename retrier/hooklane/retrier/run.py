"""From settings to a running retrier, and to its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

from hooklane.delivery.ground import Ground, Running, standing_on_kafka
from hooklane.delivery.receivers import Receivers
from hooklane.delivery.tenants import TenantLines
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.due_tasks import DueTasks, keep_counting
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
from hooklane.retrier.write import FactWriter, Told
from hooklane.retrier.written import Layout
from hooklane.runtime import kafka
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.group_poll import GroupPoll
from hooklane.runtime.group_reader import GroupReader
from hooklane.runtime.group_watch import kept_divided
from hooklane.runtime.kafka import Config, KafkaAccess
from hooklane.runtime.kafka_clients import open_consumer, open_producer
from hooklane.runtime.kafka_settings import policy_from, tenants_from
from hooklane.runtime.metrics import Service
from hooklane.runtime.redaction import KnownSecrets
from hooklane.runtime.settings import Settings
from hooklane.runtime.shutdown import Shutdown, end_on_faults, until_asked_or_failed
from hooklane.runtime.subscriptions import SubscriptionFollower
from hooklane.runtime.transactions import TransactionWriter
from hooklane.schemas.topics import TopicNames

_LARGEST_SHARE = 0.5
_ANSWER_S = 30.0


async def run_retrier(settings: Settings, shutdown: Shutdown, secrets: KnownSecrets) -> None:
    """Run until `shutdown` is asked for.

    Raises:
        HooklaneError: it cannot start or cannot go on; one sentence that says why.
    """
    async with (
        standing_on_kafka(settings, Service.RETRIER, secrets) as ground,
        retrier_running(ground) as running,
    ):
        end_on_faults(running.failed)
        await until_asked_or_failed(shutdown, running.failure, running.following)


@asynccontextmanager
async def retrier_running(ground: Ground) -> AsyncIterator[Running]:
    """A retrier that runs while this is open.

    Raises:
        HooklaneError: it cannot start.
    """
    settings, access, readiness = ground.settings, ground.access, ground.readiness
    around = _surroundings(ground)
    names, partitions = settings.topic_names, settings.topics.partitions
    tiers = Tiers(names, settings.retry.tiers, partitions)
    # First of all: a member that has not found its coordinator at once asks again after 0.5 s.
    member = open_consumer(_member(settings, access))
    async with AsyncExitStack() as stack:
        # Looking a large file over takes seconds, in which the probes must be answered.
        spool = await asyncio.to_thread(
            open_spool, settings.retrier.spool_dir, access.instance_id or uuid4().hex
        )
        stack.callback(spool.close)
        known = KnownSubscriptions(readiness.unknown_formats)
        follower = SubscriptionFollower(
            ground.reader, policy_from(settings), known.follow, ground.metrics
        )
        known.begin(lambda: follower.book)
        stack.push_async_callback(follower.stop)
        await follower.start()
        readiness.subscriptions_read()
        group = settings.retrier.group_id
        writer = fact_writer(access, names, group)
        stack.push_async_callback(writer.stop)
        await writer.open()
        circuits = ground.circuits
        rules, monotonic = tenants_from(settings), around.clock.monotonic
        receivers = Receivers(circuits, ground.rates, monotonic, rules)
        most = settings.retrier.max_in_flight
        gate = TaskGate(known, receivers, max(1, round(most * _LARGEST_SHARE)))
        lines = None
        if rules.share:
            lines = TenantLines(rules, receivers.tenant_rates, gate.tenant, monotonic)
        backlog = Backlog(spool, gate, Resolver(policy_from(settings)), most, lines)
        layout = Layout(names, partitions, ground.limits.dead_letters_max_bytes)
        workshop = Workshop(backlog, spool, ground.attempts, writer, layout, circuits, around)
        questions = KafkaBacklog(
            lambda: open_consumer(kafka.internal_consumer(access)),
            ground.admin,
            group,
            names,
            partitions,
        )
        ownership = Ownership(questions, tiers, spool, backlog, workshop, writer.flush, around)
        retrier = Retrier(spool, backlog, workshop, ownership, questions, tiers, around)
        reader = GroupReader(member)
        source = GroupPoll(reader, [tiers.backlog], retrier, monotonic, _ANSWER_S, tiers.along)
        told = Told(workshop.acked, retrier.failed, lambda: retrier.drop_all(writer.reopen))
        writer.start(source, retrier.position, told)
        retrier.start(source)
        stack.push_async_callback(retrier.stop, settings.retrier.shutdown_grace.seconds)
        stack.enter_context(
            kept_divided(
                access,
                ground.admin,
                group,
                names.subscriptions,
                names.backlog.__eq__,
                settings.retrier.revoke_grace.seconds,
                monotonic,
            )
        )
        due = DueTasks(spool, gate, lambda: [one.partition for one in ownership.owned])
        counting = asyncio.create_task(keep_counting(due, ground.metrics, around.clock))
        stack.callback(counting.cancel)
        yield Running(readiness, retrier.failure, follower.failed, retrier.failed, known.entry)


def fact_writer(access: KafkaAccess, names: TopicNames, group: str) -> FactWriter:
    """What writes by this process' transactional id."""
    config = kafka.transactional_producer(access, names.prefix, group)
    timeout_s = int(config["transaction.timeout.ms"]) / 1000
    return FactWriter(TransactionWriter(lambda: open_producer(config), timeout_s), names.backlog)


def _surroundings(ground: Ground) -> Surroundings:
    settings, clock = ground.settings, ground.clock
    return Surroundings(
        fence=Fence(settings.kafka.session_timeout.seconds, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=ground.metrics,
        readiness=ground.readiness,
        grace_s=settings.retrier.revoke_grace.seconds,
    )


def _member(settings: Settings, access: KafkaAccess) -> Config:
    return {
        **kafka.group_consumer(access, settings.retrier.group_id),
        # Ends are told, so that a restore knows when it has come to them; and soon.
        "enable.partition.eof": "true",
        "fetch.wait.max.ms": "50",
    }
