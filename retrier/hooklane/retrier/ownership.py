"""What happens when backlog partitions come and go: where to begin, restore, hand over, drop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import structlog

from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Command
from hooklane.retrier.orphans import Orphans
from hooklane.retrier.restore import BacklogFacts, RestoreProgress, is_usable, owed_of
from hooklane.retrier.spool import Checkpoint, Spool
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.tiers import Tiers
from hooklane.retrier.work import Workshop
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Start
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.records import LaneRecord

log = structlog.get_logger(__name__)

T = TypeVar("T")

_BEGINNING = -2
_RETRY_S = 0.5
_FLUSH_S = 5.0


class Questions(Protocol):
    """What is asked of Kafka; raises HooklaneError while it does not answer."""

    async def facts(self, places: Sequence[Assigned]) -> dict[Assigned, BacklogFacts]: ...
    async def high_watermarks(self, places: Iterable[Assigned]) -> dict[Assigned, int]: ...
    async def blocked_lanes(self) -> dict[LaneId, LaneRecord]: ...
    async def predecessors_ended(self, places: Sequence[Assigned]) -> None: ...


class Ownership:
    """`flush` waits until all that was written is acknowledged.

    `failed` is done when a restore has met a fault of ours: a partition that waits for ever helps
    nobody.
    """

    def __init__(
        self,
        questions: Questions,
        tiers: Tiers,
        spool: Spool,
        backlog: Backlog,
        workshop: Workshop,
        flush: Callable[[float], Awaitable[bool]],
        around: Surroundings,
    ) -> None:
        self._questions = questions
        self._tiers = tiers
        self._spool = spool
        self._backlog = backlog
        self._workshop = workshop
        self._flush = flush
        self._clock = around.clock
        self._readiness = around.readiness
        self._grace_s = around.grace_s
        self._topic_id = ""
        self._anew: set[int] = set()
        self._owned: dict[int, Assigned] = {}
        self._restores: dict[int, asyncio.Task[None]] = {}
        self.progress = RestoreProgress()
        self.orphans = Orphans()
        self._moved = asyncio.Event()
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def owned(self) -> Sequence[Assigned]:
        """The backlog partitions that are ours, restored or not."""
        return list(self._owned.values())

    async def starts(self, places: Sequence[Assigned]) -> list[Start]:
        """Each at its checkpoint, or anew; its tiers at what the group has committed."""
        facts = await _patiently(lambda: self._questions.facts(places))
        offsets = {place: self._offset_of(place, facts[place]) for place in places}
        anew = [place.partition for place, offset in offsets.items() if offset == _BEGINNING]
        if anew:
            with self._spool.batch():
                self._spool.forget(anew)
            self._anew.update(anew)
        starts = []
        for place, offset in offsets.items():
            self._topic_id = facts[place].topic_id
            starts.append(Start(place, offset))
            starts += [Start(tier) for tier in self._tiers.along(place)]
            self.progress.begin(place.partition)
            self.orphans.restoring(place.partition)
        return starts

    def assigned(self, places: Sequence[Assigned]) -> None:
        """Restore them."""
        self._readiness.assigned(places)
        log.info("partitions.assigned", partitions=_numbers(places))
        if not places:
            return
        self._owned.update((place.partition, place) for place in places)
        task = asyncio.create_task(self._aim(places))
        task.add_done_callback(self._aimed)
        self._restores.update((place.partition, task) for place in places)

    def advanced(self) -> None:
        """Positions have moved: open what is restored by now."""
        self._moved.set()
        for partition in self.progress.take_restored():
            place = self._owned.get(partition)
            if place is not None:
                self._restores.pop(partition, None)
                self._workshop.carry_out(self._backlog.open(partition))
                self._readiness.restored(place)
                if self.orphans.restored(partition, self._spool):
                    task = self._restores[partition] = asyncio.create_task(self._look_after(place))
                    task.add_done_callback(self._aimed)
                log.info("partition.restored", partition=partition, tasks=self._spool.tasks())
                self._backlog.look(self._clock.wall_ms())
                self._workshop.step()

    async def revoke(self, places: Sequence[Assigned]) -> None:
        """Attempts in flight get a grace, what they lead to is written, then all is let go."""
        await asyncio.gather(
            *(self._workshop.drain(place.partition, self._grace_s) for place in places)
        )
        if not await self._flush(_FLUSH_S):
            log.warning("partitions.not_flushed", partitions=_numbers(places))
        self._let_go(places)
        log.info("partitions.revoked", partitions=_numbers(places))

    def lost(self, places: Sequence[Assigned]) -> None:
        """Somebody else may work on them already."""
        for place in places:
            self._workshop.cut_off(place.partition)
        self._let_go(places)
        if places:
            log.warning("partitions.lost", partitions=_numbers(places))

    def save(self, partitions: Iterable[int]) -> set[int]:
        """Remember how far these have been read; gives those to be saved later.

        Not of a spool that is made anew and that has not read the lanes, nor while lanes that were
        resolved without us are to be looked after: it would be taken for a whole one after a
        restart, and the lanes would never be read.
        """
        now_ms = self._clock.wall_ms()
        owned = {one: self._owned[one] for one in partitions if one in self._owned}
        later = {one for one in owned if one in self._anew or self.orphans.are_left(one)}
        for partition in owned.keys() - later:
            position = self.progress.position(owned[partition])
            checkpoint = Checkpoint(partition, self._topic_id, position, now_ms)
            self._spool.save_checkpoint(checkpoint)
        return later

    def tell_progress(self) -> None:
        """How much is left to read, for those who wait."""
        for partition, left in self.progress.left().items():
            place = self._owned.get(partition)
            if left is not None and place is not None:
                self._readiness.restoring(place, left)
                log.info("partition.restoring", partition=partition, left=left)

    def _offset_of(self, place: Assigned, facts: BacklogFacts) -> int:
        checkpoint = self._spool.checkpoint(place.partition)
        if checkpoint is not None and is_usable(checkpoint, facts, self._clock.wall_ms()):
            return checkpoint.offset
        return _BEGINNING

    async def _aim(self, places: Sequence[Assigned]) -> None:
        """Nothing of the owner before can come later than this; and for a spool that is made anew
        the lanes come first: only then is the end asked for."""
        await _patiently(lambda: self._questions.predecessors_ended(places))
        anew = {place.partition for place in places} & self._anew
        if anew:
            blocked = await _patiently(self._questions.blocked_lanes)
            self._owe(blocked, anew)
            self._anew -= anew
        wanted = {place: [place, *self._tiers.along(place)] for place in places}
        everything = [one for group in wanted.values() for one in group]
        ends = await _patiently(lambda: self._questions.high_watermarks(everything))
        for place, group in wanted.items():
            self.progress.aim(place.partition, {one: ends[one] for one in group})
        self.advanced()

    async def _look_after(self, place: Assigned) -> None:
        """Of lanes with tombstones that came without a task: those that are blocked are owed their
        release, if nothing of them is in the backlog up to an end that is asked for afterwards."""
        partition = place.partition
        blocked = await _patiently(self._questions.blocked_lanes)
        end = (await _patiently(lambda: self._questions.high_watermarks([place])))[place]
        while self.progress.position(place) < end:
            self._moved.clear()
            await self._moved.wait()
        commands: list[Command] = []
        with self._spool.batch():
            for lane in self.orphans.take(partition) & blocked.keys():
                commands += self._backlog.owe(owed_of(lane, blocked[lane], partition))
        self._workshop.carry_out(commands)

    def _owe(self, blocked: dict[LaneId, LaneRecord], anew: set[int]) -> None:
        with self._spool.batch():
            for lane, record in blocked.items():
                partition = lane_partition(lane, self._tiers.partitions)
                if partition in anew:
                    self._spool.owe(owed_of(lane, record, partition))

    def _aimed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("partition.restore_failed", exc_info=error)
            if not self.failed.done():
                self.failed.set_result(f"A partition could not be restored: {error!r}.")

    def _let_go(self, places: Sequence[Assigned]) -> None:
        for place in places:
            partition = place.partition
            task = self._restores.pop(partition, None)
            # Others of the same assignment may still wait for the same task.
            if task is not None and task not in self._restores.values():
                task.cancel()
            self._workshop.let_go(partition)
            self._backlog.forget(partition)
            self.progress.forget(partition, [place, *self._tiers.along(place)])
            self.orphans.forget(partition)
            self._owned.pop(partition, None)
        self._readiness.revoked(places)


async def _patiently(question: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: a broker's outage only delays."""
    while True:
        try:
            return await question()
        except HooklaneError as error:
            log.warning("kafka.no_answer", reason=str(error))
            await asyncio.sleep(_RETRY_S)


def _numbers(places: Sequence[Assigned]) -> list[int]:
    return [place.partition for place in places]
