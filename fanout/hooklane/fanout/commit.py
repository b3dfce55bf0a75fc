"""When a transaction is written, and what follows from how it ended.

Deliveries that simply succeed are gathered for the commit interval (group commit); a redirect or
a dead letter is written as soon as the transaction before it has ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

import structlog

from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.redirect import Share
from hooklane.fanout.writer import CommitResult
from hooklane.runtime.metrics import TransactionOutcome

log = structlog.get_logger(__name__)

LEAST_GAP_S = 0.02
_LAST_TRIES = 5


class Group(Protocol):
    """What the poll thread has said about the group, in the event loop's order."""

    @property
    def metadata(self) -> bytes | None: ...
    @property
    def polls(self) -> int: ...


Write = Callable[[Sequence[Share], bytes], Awaitable[CommitResult]]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between transactions where nothing is urgent; the most redirects of each."""

    interval_s: float
    max_redirects: int


@dataclass(frozen=True, slots=True)
class _Part:
    """A share, and the assignment that it came from: of no use once that has ended."""

    partition: EventPartition
    share: Share


class Committer:
    """One transaction after the other, over all event partitions of the process.

    `unknown` is called when nobody can say how a transaction ended: all work has to be dropped.
    """

    def __init__(
        self,
        process: Process,
        group: Group,
        write: Write,
        pace: Pace,
        committed: Callable[[Sequence[Share]], None],
        unknown: Callable[[], None],
    ) -> None:
        self._process = process
        self._owned = process.owned
        self._clock = process.clock
        self._metrics = process.metrics
        self._group = group
        self._write = write
        self._pace = pace
        self._committed = committed
        self._unknown = unknown
        self._pending: list[_Part] = []
        self._pending_since_poll = -1
        self._one_at_a_time = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._urgent = asyncio.Event()

    def changed(self, partition: EventPartition) -> None:
        """Something of this partition wants to be written."""
        self._wanted.set()
        if partition.draft.urgent:
            self._urgent.set()

    def poke(self) -> None:
        """Look again at the next interval, for example after an assignment."""
        self._wanted.set()

    async def run(self) -> None:
        """Commit for ever; cancel it to end."""
        while True:
            await self._wanted.wait()
            await self._gather()
            self._wanted.clear()
            self._urgent.clear()
            if await self.commit() is not CommitResult.COMMITTED or self._more():
                self._wanted.set()
                self._urgent.set()

    async def flush(self, partitions: Iterable[EventPartition]) -> bool:
        """Write all that these have; True if nothing is left. For a revocation: no poll comes."""
        wanted = list(partitions)
        tries = _LAST_TRIES
        while tries and any(map(self._has_more, wanted)):
            result = await self.commit(last=True)
            tries = tries if result is CommitResult.COMMITTED else tries - 1
        return not any(map(self._has_more, wanted))

    async def commit(self, *, last: bool = False) -> CommitResult | None:
        """One transaction, if there is something to write and it may be written."""
        async with self._one_at_a_time:
            self._pending = [part for part in self._pending if self._owned.holds(part.partition)]
            metadata = self._group.metadata
            if metadata is None or not self._may_write(last):
                return None
            if self._pending:
                # What has changed since they were taken is not in these shares.
                self._wanted.set()
            else:
                self._pending = list(self._take())
            if not self._pending:
                return CommitResult.COMMITTED
            return await self._write_pending(metadata)

    async def _write_pending(self, metadata: bytes) -> CommitResult:
        parts, self._pending_since_poll = self._pending, self._group.polls
        began = self._clock.monotonic()
        try:
            result = await self._write([part.share for part in parts], metadata)
        except asyncio.CancelledError:
            # It goes on in its thread, and nobody hears how it ends.
            self._pending = []
            self._unknown()
            raise
        match result:
            case CommitResult.COMMITTED:
                self._pending = []
                self._count(parts, self._clock.monotonic() - began)
                self._committed([part.share for part in parts])
            case CommitResult.ABORTED:
                self._metrics.transactions[TransactionOutcome.ABORTED].inc()
            case CommitResult.UNKNOWN:
                self._pending = []
                self._metrics.transactions[TransactionOutcome.UNKNOWN].inc()
                self._unknown()
            case _:
                assert_never(result)
        return result

    def _count(self, parts: Sequence[_Part], seconds: float) -> None:
        """Only what is committed is in the backlog or the dead letters."""
        self._metrics.transactions[TransactionOutcome.COMMITTED].inc()
        self._metrics.transaction_duration.observe(seconds)
        self._metrics.redirects.inc(sum(len(part.share.redirects) for part in parts))
        self._metrics.dead_letters.inc(sum(len(part.share.dead_letters) for part in parts))
        for part in parts:
            for letter in part.share.dead_letters:
                self._metrics.by_subscription.given_up(letter.subscription)
        self._metrics.progressed(self._clock.wall_ms())

    def _may_write(self, last: bool) -> bool:
        """After an abort not before the next poll, whose metadata is fresh."""
        stale = bool(self._pending) and self._group.polls == self._pending_since_poll
        return (last or not stale) and self._process.may_start()

    def _take(self) -> Iterable[_Part]:
        for partition in self._owned:
            share = partition.draft.take(self._pace.max_redirects)
            if share is not None:
                yield _Part(partition, share)

    def _has_more(self, partition: EventPartition) -> bool:
        pending = any(part.partition is partition for part in self._pending)
        return self._owned.holds(partition) and (pending or partition.draft.has_changed)

    def _more(self) -> bool:
        return any(partition.draft.urgent for partition in self._owned)

    async def _gather(self) -> None:
        """Until the interval is over, or something urgent is there and the least gap is."""
        await asyncio.sleep(LEAST_GAP_S)
        try:
            async with asyncio.timeout(max(self._pace.interval_s - LEAST_GAP_S, 0)):
                await self._urgent.wait()
        except TimeoutError:
            pass
