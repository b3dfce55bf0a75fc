"""The real services, put together as their `run` modules do, over the simulated outside."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from confluent_kafka import Consumer

from hooklane.delivery import attempt
from hooklane.delivery.attempt import Attempted, Attempter
from hooklane.delivery.circuit import Circuits, CircuitTerms
from hooklane.delivery.exchange import Engine, Running
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.receivers import Receivers
from hooklane.fanout.commit import Pace
from hooklane.fanout.kafka_side import Clients, KafkaSide
from hooklane.fanout.match import Matcher
from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.process import Process
from hooklane.fanout.rules import Rules
from hooklane.fanout.service import FanOut, Limits, Outside
from hooklane.fanout.settle import Settler
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.transaction import Layout
from hooklane.fanout.window import Window
from hooklane.retrier import written
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.kafka_side import KafkaBacklog
from hooklane.retrier.known import KnownSubscriptions
from hooklane.retrier.ownership import Ownership
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.service import Retrier
from hooklane.retrier.spool import Spool
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.tiers import Tiers
from hooklane.retrier.work import Workshop
from hooklane.retrier.write import FactWriter, Told
from hooklane.runtime.clock import Clock
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.fence import SETTLES_S, Fence
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Redivision
from hooklane.runtime.group_poll import GroupPoll
from hooklane.runtime.group_reader import GroupReader
from hooklane.runtime.group_watch import Watched, keep_divided
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.subscriptions import ConfigReader, SubscriptionFollower
from hooklane.runtime.threads import Threads
from hooklane.runtime.transactions import TransactionWriter
from hooklane.schemas.subscription_values import ServicePolicy
from hooklane.schemas.topics import Delay, TopicNames
from tests.simulation.admin import SimAdmin
from tests.simulation.consumer import SimMember, SimReader
from tests.simulation.group import Group
from tests.simulation.judge import Attempt, Judge
from tests.simulation.loop import Node
from tests.simulation.producer import Flaws, SimTransactions
from tests.simulation.wire import Wire

NAMES = TopicNames()
TIERS = tuple(map(Delay.parse, ("500ms", "2s", "4s")))
POLICY = ServicePolicy(tiers=TIERS, allow_http=True, allow_plaintext_secrets=True)
SESSION_S = 3.0
TRANSACTION_S = 2.0
TERMS = CircuitTerms(threshold=2, cool_down_s=0.5, cap_s=2.0, probe_s=3.0)
LARGEST = 1 << 20
EVENTS = "orders"
FANOUT_GROUP, RETRIER_GROUP = "hooklane-fanout", "hooklane-retrier"
_LIMITS = Limits(
    max_in_flight=16,
    share=8,
    patience_s=2.0,
    window=Window(64, 1 << 20, 40),
    pace=Pace(0.1, 3),
    revoke_grace_s=0.5,
    shutdown_grace_s=2.0,
)
_METRICS = {service: Metrics(service) for service in Service}


class Parts(Protocol):
    """Which classes are at work: the product's, or one with a rule taken away."""

    @property
    def fanout(self) -> Callable[..., FanOut]: ...
    @property
    def backlog(self) -> Callable[..., Backlog]: ...
    @property
    def retrier(self) -> Callable[..., Retrier]: ...
    @property
    def retrier_poll(self) -> Callable[..., GroupPoll]: ...
    @property
    def fanout_admin(self) -> Callable[[Wire], SimAdmin]: ...
    @property
    def retrier_admin(self) -> Callable[[Wire], SimAdmin]: ...
    @property
    def fence(self) -> Callable[[float, float, float], Fence]: ...
    @property
    def transactions(self) -> Callable[..., SimTransactions]: ...
    @property
    def redivision(self) -> Callable[[str, float], Redivision]: ...


@dataclass
class Around:
    """What a process needs of the world. `stop` asks it to end."""

    node: Node
    wire: Callable[[str], Wire]
    threads: Threads
    clock: Clock
    engine: Engine
    judge: Judge
    group: Group
    partitions: int
    instance: str
    config: ConfigReader
    parts: Parts
    spool: Spool
    flaws: Flaws
    stop: asyncio.Event
    member: SimMember | None = None
    ended: str = ""
    blocked_lanes: Callable[[], int] = field(default=lambda: 0)


def _kept_divided(around: Around, admin: SimAdmin, name: str) -> asyncio.Task[None]:
    """As `runtime.group_watch` does it, for a static member only."""
    wire, group = around.wire("visitor"), around.group

    def visit() -> None:
        wire.ask()
        group.visit()

    wanted = [Assigned(*place) for place in group.places]
    watched = Watched(lambda: admin.division(name), lambda: wanted, visit)
    redivision = around.parts.redivision(around.instance, SESSION_S + _LIMITS.revoke_grace_s)
    looking = asyncio.create_task(
        keep_divided(watched, redivision, around.clock.monotonic, 1.0, around.threads)
    )
    if not around.instance:
        looking.cancel()
    return looking


class _Secrets:
    def resolve(self, reference: str) -> bytes:
        raise NotImplementedError


class _Watched:
    """Attempts, with the judge beside them."""

    def __init__(self, around: Around, service: Service) -> None:
        self._around, self._fanout = around, service is Service.FANOUT
        self._attempter = Attempter(around.engine, _Secrets(), around.clock, service)

    def start(self, delivery: attempt.Delivery, done: Callable[[Attempted], None]) -> Running:
        around, judge = self._around, self._around.judge
        around.node.acts()
        begun = judge.started(around.node, delivery, fanout=self._fanout)

        def ended(attempted: Attempted) -> None:
            judge.ended(begun, attempted.record.outcome)
            done(attempted)

        return _Cancels(self._attempter.start(delivery, ended), judge, begun)


@dataclass
class _Cancels:
    running: Running
    judge: Judge
    begun: Attempt

    def cancel(self) -> None:
        self.judge.cancelled(self.begun)
        self.running.cancel()


class _Readiness:
    """Tells the judge of what a process was given."""

    def __init__(self, around: Around) -> None:
        self._around = around

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        self._around.judge.given(self._around.node, [(one[0], one[1]) for one in partitions])

    def restored(self, partition: tuple[str, int]) -> None: ...
    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None: ...
    def restoring(self, partition: tuple[str, int], left: int) -> None: ...


async def run_fanout(around: Around) -> None:
    """Until it is asked to stop, or cannot go on."""
    clock = around.clock
    process = Process(
        group=FANOUT_GROUP,
        owned=OwnedPartitions(),
        fence=around.parts.fence(SESSION_S, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=_METRICS[Service.FANOUT],
        readiness=_Readiness(around),
        circuits=Circuits(TERMS),
        limits=RateLimits(),
    )
    around.blocked_lanes = lambda: sum(len(one.lanes.blocked_lanes) for one in process.owned)
    subscribed = Subscribed(Matcher())
    follower = SubscriptionFollower(
        around.config,
        POLICY,
        subscribed.follow,
        process.metrics,
        around.threads,
        clock.monotonic,
    )
    await follower.start()
    layout = Layout(NAMES, around.partitions, FANOUT_GROUP)
    admin = around.parts.fanout_admin(around.wire("admin"))
    side = KafkaSide(_clients(around), admin, process, layout, around.threads)
    try:
        await side.open()
    except BrokerError as error:
        around.ended = str(error)
        return
    outside = Outside(
        source=side.source([EVENTS], _LIMITS.revoke_grace_s),
        restorer=side.restorer,
        topics=side.topics,
        attempts=_Watched(around, Service.FANOUT),
        write=side.write,
        reopen=side.reopen,
    )
    rules = Rules(Settler(FANOUT_GROUP, TIERS), POLICY, LARGEST, LARGEST)
    fanout = around.parts.fanout(process, outside, subscribed, rules, _LIMITS)
    fanout.start()
    looking = _kept_divided(around, admin, FANOUT_GROUP)
    await _until_asked(around, fanout.failure, follower)
    looking.cancel()
    await fanout.stop()
    await follower.stop()
    await side.close()


def _clients(around: Around) -> Clients:
    member = SimMember(
        around.wire("member"),
        around.group,
        around.instance,
        lambda: around.judge.excuse(around.node),
        tells_ends=False,
    )
    around.member = member
    return Clients(
        member=cast("Consumer", member),
        lanes=cast("Consumer", SimReader(around.wire("lanes"), tells_ends=True)),
        producer=_opens_producer(around, FANOUT_GROUP),
        transaction_s=TRANSACTION_S,
    )


def _opens_producer(around: Around, group: str) -> Callable[[], SimTransactions]:
    name = f"hooklane-{group}-{around.instance or around.node.name}"
    return lambda: around.parts.transactions(
        around.wire("transactions"), around.group, name, TRANSACTION_S, around.flaws
    )


async def run_retrier(around: Around) -> None:
    """Until it is asked to stop, or cannot go on."""
    clock, spool = around.clock, around.spool
    surroundings = Surroundings(
        fence=around.parts.fence(SESSION_S, SETTLES_S, clock.monotonic()),
        clock=clock,
        metrics=_METRICS[Service.RETRIER],
        readiness=_Readiness(around),
        grace_s=0.5,
    )
    tiers = Tiers(NAMES, TIERS, around.partitions)
    known = KnownSubscriptions(lambda _: None)
    follower = SubscriptionFollower(
        around.config,
        POLICY,
        known.follow,
        surroundings.metrics,
        around.threads,
        clock.monotonic,
    )
    known.begin(lambda: follower.book)
    await follower.start()
    transactions = TransactionWriter(
        _opens_producer(around, RETRIER_GROUP), TRANSACTION_S, clock.monotonic
    )
    writer = FactWriter(transactions, NAMES.backlog)
    try:
        await writer.open()
    except BrokerError as error:
        around.ended = str(error)
        return
    circuits = Circuits(TERMS)
    gate = TaskGate(known, Receivers(circuits, RateLimits(), clock.monotonic), 8)
    backlog = around.parts.backlog(spool, gate, Resolver(POLICY), 16)
    layout = written.Layout(NAMES, around.partitions, LARGEST)
    attempts = _Watched(around, Service.RETRIER)
    workshop = Workshop(backlog, spool, attempts, writer, layout, circuits, surroundings)
    admin = around.parts.retrier_admin(around.wire("admin"))
    questions = KafkaBacklog(
        lambda: cast("Consumer", SimReader(around.wire("blocked"), tells_ends=True)),
        admin,
        RETRIER_GROUP,
        NAMES,
        around.partitions,
    )
    ownership = Ownership(questions, tiers, spool, backlog, workshop, writer.flush, surroundings)
    retrier = around.parts.retrier(
        spool, backlog, workshop, ownership, questions, tiers, surroundings
    )
    member = SimMember(
        around.wire("member"),
        around.group,
        around.instance,
        lambda: around.judge.excuse(around.node),
        tells_ends=True,
    )
    around.member = member
    source = around.parts.retrier_poll(
        GroupReader(cast("Consumer", member)),
        [tiers.backlog],
        retrier,
        clock.monotonic,
        30.0,
        tiers.along,
        around.threads,
    )
    told = Told(workshop.acked, retrier.failed, lambda: retrier.drop_all(writer.reopen))
    writer.start(source, retrier.position, told)
    retrier.start(source)
    looking = _kept_divided(around, admin, RETRIER_GROUP)
    await _until_asked(around, retrier.failure, follower)
    looking.cancel()
    await retrier.stop(2.0)
    await writer.stop()
    await follower.stop()


async def _until_asked(
    around: Around, failure: asyncio.Future[str], follower: SubscriptionFollower
) -> None:
    asked = asyncio.create_task(around.stop.wait())
    await asyncio.wait((asked, failure, follower.failed), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if failure.done():
        around.ended = failure.result()
