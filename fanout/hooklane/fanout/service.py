"""The fan-out: the rooms wired together, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from hooklane.delivery.journal import Journal
from hooklane.fanout.commit import Committer, Group, Pace, Write
from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.dispatch import Attempts, Dispatcher
from hooklane.fanout.gate import LaneGate
from hooklane.fanout.intake import Intake
from hooklane.fanout.ownership import EventTopics, Ownership, Restorer
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.reading import JSON_ALONE, Reading
from hooklane.fanout.redirect import Share
from hooklane.fanout.rules import Rules
from hooklane.fanout.schedule import Schedule
from hooklane.fanout.schema_wait import SchemaWait
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.told import tell
from hooklane.fanout.window import Flow, Window
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed, Start
from hooklane.schemas.lane import LaneId

log = structlog.get_logger(__name__)

_TICK_S = 0.1
_LAG_FADES = 0.9
"""A tick; after two seconds an eighth of a lag is left."""


class Source(Group, Protocol):
    """The poll thread, as the rest of the fan-out uses it."""

    def start(self) -> None: ...
    def pause(self, partitions: Sequence[Assigned]) -> None: ...
    def resume(self, partitions: Sequence[Assigned]) -> None: ...
    def rejoin(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything. Times in seconds; `share` is one subscription's part of the slots."""

    max_in_flight: int
    share: int
    patience_s: float
    window: Window
    pace: Pace
    revoke_grace_s: float
    shutdown_grace_s: float


@dataclass(frozen=True, slots=True)
class Outside:
    """Everything that does I/O, so that a simulation can bring its own."""

    source: Callable[["FanOut"], Source]
    restorer: Callable[[Callable[[Place, LaneId, int], None]], Restorer]
    topics: EventTopics
    attempts: Attempts
    write: Write
    reopen: Callable[[], Awaitable[None]]
    """Ends whatever transaction was left open, however long that takes."""


class FanOut:
    """The owner of event partitions, from the first record to the last commit."""

    def __init__(
        self,
        process: Process,
        outside: Outside,
        subscribed: Subscribed,
        rules: Rules,
        limits: Limits,
        reading: Reading = JSON_ALONE,
    ) -> None:
        self._process = process
        self._journal = Journal(process.clock.monotonic)
        self._limits = limits
        self._stopping = False
        self._ticks: asyncio.Task[None] | None = None
        self._commits: asyncio.Task[None] | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._reopen = outside.reopen
        self._early: dict[Place, list[tuple[LaneId, int]]] = {}
        """Releases of partitions that are restored and not yet worked on."""
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        gate = LaneGate(subscribed, process.owned.lanes, process.receivers(), limits.share)
        schedule = Schedule(gate, limits.max_in_flight, limits.patience_s)
        self._dispatcher = Dispatcher(
            process, schedule, gate, outside.attempts, rules, self._changed
        )
        self._source = outside.source(self)
        self._committer = Committer(
            process, self._source, outside.write, limits.pace, self._committed, self._drop_all
        )
        self._ownership = Ownership(
            process,
            outside.topics,
            outside.restorer(self._released),
            self._dispatcher,
            self._committer.flush,
            self._restored,
            self.failed,
            limits.revoke_grace_s,
        )
        self._intake = Intake(
            process, subscribed, rules, self._admitted, self._gap, reading, self._needs
        )
        self._schemas: SchemaWait | None = None
        if reading.schemas is not None:
            self._schemas = SchemaWait(process, reading.schemas, self._again, self.failed)
        self._flow = Flow(
            limits.window,
            process.owned,
            lambda one: self._source.pause([_name(one)]),
            lambda one: self._source.resume([_name(one)]),
        )

    def start(self) -> None:
        """Join the group, tick and commit."""
        self._source.start()
        self._ticks = asyncio.create_task(self._tick())
        self._commits = asyncio.create_task(self._committer.run())
        for task in (self._ticks, self._commits):
            task.add_done_callback(self._task_ended)

    async def stop(self) -> None:
        """Take no more, let attempts in flight end, commit, leave the group."""
        self._stopping = True
        places = [partition.place for partition in self._process.owned]
        self._source.pause([_name(partition) for partition in self._process.owned])
        await self._dispatcher.drain(places, self._limits.shutdown_grace_s)
        await self._source.stop()
        if self._schemas is not None:
            self._schemas.stop()
        for task in (self._ticks, self._commits, self._reopening):
            if task is not None:
                task.cancel()

    def take_no_events(self) -> None:
        """Until `take_events`: what is here goes on."""
        self._flow.close()

    def take_events(self) -> None:
        self._flow.open()

    # What the poll thread tells (group_poll.Owner).

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        """At the committed offsets, and paused until they are restored."""
        return [Start(place, paused=True) for place in partitions]

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        self._ownership.assigned(partitions)

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        await self._ownership.revoke(partitions)

    def lost(self, partitions: Sequence[Assigned]) -> None:
        self._ownership.lost(partitions)
        gone = set(partitions)
        for place in [one for one in self._early if Assigned(one.topic, one.partition) in gone]:
            del self._early[place]

    def consumed(self, batch: Sequence[Consumed]) -> None:
        if not self._stopping:
            self._intake.take(batch)

    def reached_end(self, place: Assigned, offset: int) -> None:
        """Not told to a fan-out: its consumer runs without ends."""

    def polled(self, at: float) -> None:
        self._process.fence.polled(at)

    def failed(self, error: str) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Without its ticks or commits the process would go on delivering for nothing."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", exc_info=error)
            self.failed(f"a fault: {error!r}")

    # What the rooms tell each other.

    def _admitted(
        self, deliveries: Sequence[Delivery], partitions: Sequence[EventPartition]
    ) -> None:
        self._dispatcher.add(deliveries)
        self._dispatcher.step()
        self._flow.grown(partitions)
        for partition in partitions:
            self._committer.changed(partition)

    def _needs(self, schema_id: int, partition: EventPartition) -> None:
        assert self._schemas is not None  # noqa: S101 - only its reader asks for schemas
        self._schemas.want(schema_id, partition)

    def _again(self, partition: EventPartition) -> None:
        if not self._stopping:
            self._intake.again(partition)
            self._flow.shrunk(partition)

    def _restored(self, partition: EventPartition) -> None:
        for lane, sequence in self._early.pop(partition.place, ()):
            partition.lanes.release(lane, sequence)
        self._source.resume([_name(partition)])
        self._flow.grown([partition])
        self._committer.changed(partition)

    def _changed(self, partition: EventPartition) -> None:
        self._committer.changed(partition)
        self._flow.shrunk(partition)

    def _committed(self, shares: Sequence[Share]) -> None:
        for share in shares:
            tell(self._journal, share)
        self._dispatcher.committed(letter for share in shares for letter in share.dead_letters)
        self._flow.look()

    def _released(self, place: Place, lane: LaneId, sequence: int) -> None:
        partition = self._process.owned.at(place)
        if partition is None:
            self._early.setdefault(place, []).append((lane, sequence))
            return
        partition.lanes.release(lane, sequence)
        self._committer.changed(partition)

    def _gap(self, partition: EventPartition, expected: int, offset: int) -> None:
        if offset < expected:
            log.error(
                "partition.went_back",
                topic=partition.place.topic,
                partition=partition.place.partition,
                expected=expected,
                offset=offset,
            )
            self._drop_all()
        else:
            self._ownership.jumped(_name(partition), expected)

    def _drop_all(self) -> None:
        """Begin anew from what is committed: nothing else is certain any more.

        A transaction that was left open is ended first: while it is open, nobody is told what is
        committed.
        """
        self._ownership.lost([_name(partition) for partition in self._process.owned])
        if self._reopening is None:
            self._reopening = asyncio.create_task(self._reopen_and_rejoin())

    async def _reopen_and_rejoin(self) -> None:
        try:
            await self._reopen()
        finally:
            self._reopening = None
        self._source.rejoin()

    async def _tick(self) -> None:
        clock, lag = self._process.clock, 0.0
        while True:
            due = clock.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            lag = max(clock.monotonic() - due, lag * _LAG_FADES)
            self._dispatcher.spill(lag)
            self._flow.look()
            self._measure()

    def _measure(self) -> None:
        process = self._process
        owned, metrics = list(process.owned), process.metrics
        metrics.lanes_blocked.set(sum(len(one.lanes.blocked_lanes) for one in owned))
        metrics.schema_waits.set(sum(one.held is not None for one in owned))
        times = [one.ledger.oldest_ms for one in owned]
        oldest = min((at for at in times if at is not None), default=None)
        age_ms = 0 if oldest is None else max(process.clock.wall_ms() - oldest, 0)
        metrics.oldest_undelivered.set(age_ms / 1000)
        for one in owned:
            gauge = metrics.window(one.place.topic, one.place.partition)
            gauge.set(one.ledger.open_deliveries)


def _name(partition: EventPartition) -> Assigned:
    return Assigned(partition.place.topic, partition.place.partition)
