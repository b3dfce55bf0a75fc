"""What happens when event partitions come and go: restore, hand over, drop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from hooklane.fanout.delivery import Place
from hooklane.fanout.ledger import LedgerState
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.restore import Restored
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.records import LedgerRecord, Span

log = structlog.get_logger(__name__)

_RETRY_S = 0.5
_LOOK_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Offsets:
    """Where an event partition stands. `committed` is None where the group has none.

    `earliest` and `end` are the first offset that is still there and the one after the last.
    """

    committed: int | None
    earliest: int
    end: int


class EventTopics(Protocol):
    """Answers about event topics; raises HooklaneError while Kafka does not answer."""

    async def topic_id(self, topic: str) -> str: ...
    async def offsets(self, partition: Assigned) -> Offsets: ...


class Restorer(Protocol):
    async def restore(self, place: Place) -> Restored: ...
    def forget(self, place: Place) -> None: ...


class Work(Protocol):
    """The dispatcher, as far as partitions that go are concerned."""

    async def drain(self, places: Sequence[Place], grace_s: float) -> None: ...
    def cut_off(self, places: Sequence[Place]) -> None: ...


class Ownership:
    """Restores what is assigned, and ends the work on what is taken away.

    `restored` is told of each, so that its first event may come; `flush` writes what partitions
    have left and is True if nothing remains.
    """

    def __init__(
        self,
        process: Process,
        topics: EventTopics,
        restorer: Restorer,
        work: Work,
        flush: Callable[[Sequence[EventPartition]], Awaitable[bool]],
        restored: Callable[[EventPartition], None],
        broken: Callable[[str], None],
        grace_s: float,
    ) -> None:
        self._group = process.group
        self._owned = process.owned
        self._metrics = process.metrics
        self._readiness = process.readiness
        self._topics = topics
        self._restorer = restorer
        self._work = work
        self._flush = flush
        self._tell_restored = restored
        self._broken = broken
        self._grace_s = grace_s
        self._restoring: dict[Assigned, asyncio.Task[None]] = {}
        self._looking: dict[Assigned, asyncio.Task[None]] = {}
        self._gaps: dict[Assigned, int] = {}

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        """Restore each; until that is done the partition stays paused."""
        self._readiness.assigned(partitions)
        log.info("partitions.assigned", partitions=_text(partitions))
        for one in partitions:
            task = asyncio.create_task(self._restore(one))
            task.add_done_callback(self._restore_ended)
            self._restoring[one] = task

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        """Attempts in flight get a grace, what is settled is committed, then all is let go."""
        self._stop_restoring(partitions)
        own = self._owned.of(partitions)
        if own:
            await self._work.drain([one.place for one in own], self._grace_s)
            if not await self._flush(own):
                log.warning("partitions.not_flushed", partitions=_text(partitions))
        self._let_go(partitions)
        log.info("partitions.revoked", partitions=_text(partitions))

    def lost(self, partitions: Sequence[Assigned]) -> None:
        """Somebody else may own them already: drop everything, redirect nothing."""
        self._stop_restoring(partitions)
        self._let_go(partitions)
        if partitions:
            log.warning("partitions.lost", partitions=_text(partitions))

    def _let_go(self, partitions: Sequence[Assigned]) -> None:
        self._work.cut_off([one.place for one in self._owned.of(partitions)])
        for name in partitions:
            gone = self._owned.remove(name)
            if gone is not None:
                self._restorer.forget(gone.place)
                self._metrics.forget_partition(name.topic, name.partition)
        self._readiness.revoked(partitions)

    def _stop_restoring(self, partitions: Sequence[Assigned]) -> None:
        for one in partitions:
            task = self._restoring.pop(one, None)
            if task is not None:
                task.cancel()

    async def _restore(self, name: Assigned) -> None:
        """Until it has worked; a broker's outage only delays it."""
        began = time.monotonic()
        partition = await self._try_to_restore(name)
        while partition is None:
            await asyncio.sleep(_RETRY_S)
            partition = await self._try_to_restore(name)
        self._owned.add(partition)
        del self._restoring[name]
        seconds = time.monotonic() - began
        self._readiness.restored(name)
        self._tell_restored(partition)
        log.info(
            "partition.restored",
            topic=name.topic,
            partition=name.partition,
            offset=partition.ledger.position,
            blocked_lanes=len(partition.lanes.blocked_lanes),
            seconds=round(seconds, 3),
        )

    def _restore_ended(self, task: asyncio.Task[None]) -> None:
        """A fault of ours ends the process: a partition that waits for ever helps nobody."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("partition.restore_failed", exc_info=error)
            self._broken(f"a partition could not be restored: {error!r}")

    async def _try_to_restore(self, name: Assigned) -> EventPartition | None:
        try:
            return await self._restored(name)
        except HooklaneError as error:
            log.warning("partition.restore_waits", partition=_text([name]), reason=str(error))
            return None

    async def _restored(self, name: Assigned) -> EventPartition:
        """Rule 5: the committed offset first, then the lanes to the high watermark of then."""
        place = Place(name.topic, await self._topics.topic_id(name.topic), name.partition)
        offsets = await self._topics.offsets(name)
        offset = self._start(name, offsets)
        try:
            restored = await self._restorer.restore(place)
        except BaseException:
            self._restorer.forget(place)
            raise
        inherited = _inherited(offset, offsets.end, restored.ledger)
        return EventPartition(place, self._group, inherited, restored.lanes)

    def _start(self, name: Assigned, offsets: Offsets) -> int:
        """Where to begin; events that are gone are counted and shouted, never jumped silently."""
        committed = offsets.committed
        if committed is None:
            return offsets.earliest
        if committed > offsets.end:
            log.error(
                "partition.shorter_than_committed",
                partition=_text([name]),
                committed=committed,
                end=offsets.end,
            )
            return offsets.earliest
        self._expired(name, committed, offsets.earliest)
        return max(committed, offsets.earliest)

    def jumped(self, name: Assigned, expected: int) -> None:
        """Offsets from `expected` on did not come. Compaction and transactions leave gaps too, so
        only the topic's first offset tells whether retention took something."""
        log.debug("partition.gap", partition=_text([name]), expected=expected)
        self._gaps[name] = min(expected, self._gaps.get(name, expected))
        if name not in self._looking:
            self._looking[name] = asyncio.create_task(self._look_for_expired(name))

    async def _look_for_expired(self, name: Assigned) -> None:
        """Now, and for gaps that come meanwhile after a rest."""
        while name in self._gaps:
            expected = self._gaps.pop(name)
            try:
                offsets = await self._topics.offsets(name)
                self._expired(name, expected, offsets.earliest)
            except HooklaneError as error:
                log.warning("partition.gap_unexplained", partition=_text([name]), reason=str(error))
            await asyncio.sleep(_LOOK_AGAIN_S)
        del self._looking[name]

    def _expired(self, name: Assigned, expected: int, earliest: int) -> None:
        """Say that retention took events before they were read, if it did."""
        if earliest > expected:
            self._metrics.expired_events.inc(earliest - expected)
            log.error(
                "events.expired",
                partition=_text([name]),
                first=expected,
                last=earliest - 1,
                count=earliest - expected,
            )


def _inherited(offset: int, end: int, ledger: LedgerRecord | None) -> LedgerState:
    """The ledger of before, as far as it speaks of events that are there.

    A log that was cut (an unclean election) gives the same offsets to other events: what was said
    of those before is not said of them.
    """
    if ledger is None:
        return LedgerState(offset)
    settled = tuple(
        Span(span.first, min(span.last, end - 1)) for span in ledger.settled if span.first < end
    )
    partial = tuple(one for one in ledger.partial if one.offset < end)
    return LedgerState(offset, settled, partial)


def _text(partitions: Sequence[Assigned]) -> str:
    return ", ".join(f"{one.topic}[{one.partition}]" for one in partitions)
