"""The retrier: the rooms wired together, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Command
from hooklane.retrier.intake import Intake
from hooklane.retrier.ownership import Ownership, Questions
from hooklane.retrier.spool import Spool
from hooklane.retrier.standing import TicketPlace
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.tiers import Tiers
from hooklane.retrier.work import Workshop
from hooklane.runtime.errors import HooklaneError, said_of
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed, Start

log = structlog.get_logger(__name__)

_TICK_S = 0.1
_COMMIT_S = 5.0
_TELL_S = 5.0
_REMEMBER_S = 1.0
"""A start reads again what came after the last checkpoint; to save one is most of what reading a
record costs."""
_HALTED_S = 1.0
_KEEP_ALIVE_S = 3600.0
"""Offsets and checkpoints that have not moved are written again after this long: the broker
forgets offsets of topics that a group is not subscribed to, and old checkpoints are not used."""
_STRAYS_S = 30.0


class Source(Protocol):
    """The poll thread, as the rest of the retrier uses it."""

    def start(self) -> None: ...
    def rejoin(self) -> None: ...
    def commit(self, offsets: Mapping[Assigned, int]) -> None: ...
    async def stop(self) -> None: ...


class Retrier:
    """The owner of backlog partitions (group_poll.Owner), from the first record to the last ack."""

    def __init__(
        self,
        spool: Spool,
        backlog: Backlog,
        workshop: Workshop,
        ownership: Ownership,
        questions: Questions,
        tiers: Tiers,
        around: Surroundings,
    ) -> None:
        self._spool = spool
        self._backlog = backlog
        self._workshop = workshop
        self._ownership = ownership
        self._questions = questions
        self._tiers = tiers
        self._around = around
        self._intake = Intake(spool, backlog, ownership.orphans)
        self._read: set[int] = set()
        """Backlog partitions of which records came since their checkpoints."""
        self._committed: dict[Assigned, int] = {}
        self._refused = False
        self._reopening: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._source: Source | None = None
        self.failure = ownership.failed

    def start(self, source: Source) -> None:
        """Join the group, look for what is due, commit."""
        self._source = source
        source.start()
        for every_s, call in (
            (_TICK_S, self._tick),
            (_COMMIT_S, self._commit_tiers),
            (_TELL_S, self._ownership.tell_progress),
            (_REMEMBER_S, self._remember),
            (_HALTED_S, self._workshop.look_at_halted),
            (_KEEP_ALIVE_S, self._keep_alive),
        ):
            self._tasks.append(asyncio.create_task(self._every(every_s, call)))
        self._tasks.append(asyncio.create_task(self._drop_strays()))
        for task in self._tasks:
            task.add_done_callback(self._task_ended)

    async def stop(self, grace_s: float) -> None:
        """Begin nothing more, let attempts in flight end, write what they lead to, leave."""
        owned = self._ownership.owned
        await asyncio.gather(*(self._workshop.drain(place.partition, grace_s) for place in owned))
        self._commit_tiers()
        if self._source is not None:
            await self._source.stop()
        with suppress(HooklaneError):  # the next start reads some more
            self._remember()
        for task in (*self._tasks, self._reopening):
            if task is not None:
                task.cancel()

    # What the poll thread tells.

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        return await self._ownership.starts(partitions)

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        self._ownership.assigned(partitions)

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        await self._ownership.revoke(partitions)

    def lost(self, partitions: Sequence[Assigned]) -> None:
        self._ownership.lost(partitions)

    def consumed(self, batch: Sequence[Consumed]) -> None:
        """Everything of a batch goes into the spool.

        After a batch that the spool has refused nothing more is taken, and no checkpoint saved: it
        would pass over it.
        """
        if self._refused:
            return
        self._refused = True
        commands: list[Command] = []
        with self._spool.batch():
            for record in batch:
                commands += self._take(record)
                if record.topic == self._tiers.backlog:
                    self._read.add(record.partition)
        self._refused = False
        self._workshop.carry_out(commands)
        self._ownership.advanced()
        self._workshop.step()

    def reached_end(self, place: Assigned, offset: int) -> None:
        self._ownership.progress.reached(place, offset)
        self._ownership.advanced()

    def polled(self, at: float) -> None:
        self._around.fence.polled(at)

    def failed(self, error: str) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Without one of them it would go on for nothing: without its ticks nothing that becomes
        due is looked for, and without its joining again it owns nothing."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", exc_info=error)
            self.failed(said_of(error))

    def _take(self, record: Consumed) -> list[Command]:
        place = Assigned(record.topic, record.partition)
        self._ownership.progress.reached(place, record.offset + 1)
        tier = self._tiers.of_topic(record.topic)
        if tier is None:
            return self._intake.backlog_record(record.partition, record.key, record.value)
        ticket = TicketPlace(tier.text, record.offset)
        self._intake.ticket_record(record.partition, ticket, record.value)
        return []

    # What the writer tells (write.Told).

    def position(self, partition: int) -> int:
        """How far a backlog partition has been read."""
        return self._ownership.progress.position(Assigned(self._tiers.backlog, partition))

    def drop_all(self, reopen: Callable[[], Awaitable[None]]) -> None:
        """Begin anew from what is in Kafka: nobody knows how a transaction ended. It is ended
        first: while it is open, nobody is told what is committed."""
        self._ownership.lost(self._ownership.owned)
        if self._reopening is None:
            self._reopening = asyncio.create_task(self._reopen_and_rejoin(reopen))
            self._reopening.add_done_callback(self._task_ended)

    async def _reopen_and_rejoin(self, reopen: Callable[[], Awaitable[None]]) -> None:
        try:
            await reopen()
        finally:
            self._reopening = None
        if self._source is not None:
            self._source.rejoin()

    # What is done now and then.

    async def _every(self, seconds: float, call: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            call()

    def _tick(self) -> None:
        now_ms, metrics = self._around.clock.wall_ms(), self._around.metrics
        self._backlog.look(now_ms)
        self._workshop.step()
        metrics.backlog_tasks.set(self._spool.tasks())
        oldest = self._spool.oldest_ms()
        metrics.oldest_undelivered.set(0 if oldest is None else max(now_ms - oldest, 0) / 1000)

    def _commit_tiers(self) -> None:
        """Rule 7: only past tickets that are used up. Not by a process that may have been taken for
        dead: to a commit of its last membership Kafka answers that it is refused for good."""
        if not self._around.fence.is_open(self._around.clock.monotonic()):
            return
        offsets = {}
        for place in self._ownership.owned:
            for tier, at in self._tiers.places(place):
                first = self._spool.first_open_ticket(place.partition, tier.text)
                offset = self._ownership.progress.position(at) if first is None else first
                if offset > self._committed.get(at, 0):
                    offsets[at] = self._committed[at] = offset
        if self._source is not None:
            self._source.commit(offsets)

    def _keep_alive(self) -> None:
        self._committed.clear()
        self._commit_tiers()
        self._read.update(place.partition for place in self._ownership.owned)
        self._remember()

    def _remember(self) -> None:
        """Save how far has been read, after all that was read is in the spool, or out of it."""
        if self._refused or not self._read:
            return
        with self._spool.batch():
            self._backlog.settle()
            later = self._ownership.save(self._read)
        self._read = later

    async def _drop_strays(self) -> None:
        """A ticket is used up if the backlog, read to an end that was asked for after the ticket
        had come, has no task for it."""
        while True:
            await asyncio.sleep(_STRAYS_S)
            mark, owned = self._spool.mark(), self._ownership.owned
            try:
                ends = await self._questions.high_watermarks(owned)
            except HooklaneError as error:
                log.warning("kafka.no_answer", reason=str(error))
                continue
            await asyncio.sleep(_TICK_S)
            with self._spool.batch():
                for place, end in ends.items():
                    if self._ownership.progress.position(place) >= end:
                        self._spool.drop_strays(place.partition, mark)
