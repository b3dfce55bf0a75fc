"""The relay's work in one session, from its locks to its end."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from itertools import chain, repeat
from typing import Any, Final, assert_never

from hooklane.producer.outbox.desk import Batch, Desk
from hooklane.producer.outbox.errors import OutboxError, SessionLostError
from hooklane.producer.outbox.layout import Layout
from hooklane.producer.outbox.ports import (
    Committed,
    Pace,
    Publisher,
    Refused,
    Session,
    Told,
    Unsure,
)
from hooklane.producer.outbox.route import Route
from hooklane.producer.outbox.share import candidates, surplus

_log = logging.getLogger("hooklane.producer")

_BALANCE_S: Final = 1.0
_COUNT_S: Final = 10.0
_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_LEFT_S: Final = 3.0
"""How long batches that are on their way when the session is lost may take to tell their end."""

OpenPublisher = Callable[[str, int], Publisher]
"""Of the table's name and a bucket."""


class Tenure:
    """`wake` is set when there may be something to do; `stopping` says that it is the last turn."""

    def __init__(
        self,
        session: Session,
        layout: Layout,
        pace: Pace,
        open_publisher: OpenPublisher,
        told: Told,
        wake: asyncio.Event,
        stopping: Callable[[], bool],
    ) -> None:
        self._session = session
        self._layout = layout
        self._pace = pace
        self._open_publisher = open_publisher
        self._told = told
        self._wake = wake
        self._stopping = stopping
        self._desk = Desk(Route(layout, session.kind).record, layout.on_bad_row, pace.again_s)
        self._publishers: dict[int, Publisher] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._unsure: dict[int, int] = defaultdict(int)
        self._balance_at = self._count_at = self._look_at = _now()
        self._waits_for_others = False

    async def work(self) -> None:
        """Until it is the last turn, and what is on its way is marked.

        Raises:
            OutboxError: the session has ended.
        """
        await self._session.enrol()
        self._wake.set()
        while not self._stopping():
            woken = self._wake.is_set()
            # Before the read: what is told from here on is not in it.
            self._wake.clear()
            self._raise_faults()
            await self._balance_when_due()
            if (woken or _now() >= self._look_at) and await self._turn():
                self._wake.set()
            await self._wait()
        while any(map(self._desk.busy, self._desk.buckets)):
            self._wake.clear()
            self._raise_faults()
            await self._wait()

    async def end(self) -> None:
        """Let what is on its way end, as far as it does soon."""
        for bucket, task in self._tasks.items():
            if not self._desk.busy(bucket):
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=_LEFT_S)
        for task in self._tasks.values():
            task.cancel()
        closing = (one.close() for one in self._publishers.values())
        await asyncio.gather(*self._tasks.values(), *closing, return_exceptions=True)
        self._told.buckets(0)

    async def _turn(self) -> bool:
        """Read, and send on their way; whether there may be more."""
        now = _now()
        self._look_at = now + self._pace.look_s
        ask = self._desk.ask(now)
        self._told.held(self._desk.held)
        if ask is None:
            return False
        rows = await self._session.read(ask, self._pace.rows)
        work = self._desk.take(rows, now)
        for one in work.bad:
            self._told.bad(one)
        await self._session.set_aside(work.bad)
        for batch in work.batches:
            self._start(batch.bucket, self._publish(batch))
        return len(rows) == self._pace.rows

    async def _publish(self, batch: Batch) -> None:
        result = await self._publishers[batch.bucket].publish(batch.records)
        match result:
            case Committed():
                self._unsure.pop(batch.bucket, None)
                self._told.published(batch.rows, time.time())
                await self._mark([row.position for row in batch.rows])
                self._desk.done(batch)
            case Refused(places):
                bad = self._desk.refused(batch, places, _now())
                for one in bad:
                    self._told.bad(one)
                await self._session.set_aside(bad)
                self._desk.again(batch)
            case Unsure(reason):
                _log.warning("rows of bucket %s come again: %s", batch.bucket, reason)
                self._told.unsure()
                self._desk.failed(batch)
                times = self._unsure[batch.bucket]
                self._unsure[batch.bucket] += 1
                await asyncio.sleep(_AGAIN_S[min(times, len(_AGAIN_S) - 1)])
                await self._open(batch.bucket)
            case _:
                assert_never(result)

    async def _mark(self, positions: Sequence[int]) -> None:
        """As long as it takes: to read them again would be to publish them again."""
        for pause_s in chain(_AGAIN_S, repeat(_AGAIN_S[-1])):
            try:
                await self._session.mark(positions)
            except SessionLostError:
                raise
            except OutboxError as error:
                _log.error("published rows cannot be marked for now: %s", error)
                await asyncio.sleep(pause_s)
            else:
                return

    async def _open(self, bucket: int) -> None:
        await self._publishers[bucket].open()
        self._desk.opened(bucket)

    async def _balance_when_due(self) -> None:
        now = _now()
        if now >= self._balance_at:
            self._balance_at = now + _BALANCE_S
            await self._balance()
        if now >= self._count_at:
            self._count_at = now + _COUNT_S
            self._told.waiting(*await self._session.waiting())
        for bucket in self._desk.left():
            await self._give_back(bucket)

    async def _balance(self) -> None:
        standing = await self._session.standing()
        share = standing.share()
        for bucket in surplus(self._desk.buckets, share):
            self._desk.leave(bucket)
        self._say_who_is_waited_for(standing.may_have_any())
        if not standing.may_have_any() or len(self._desk.buckets) >= share:
            return
        await self._lock_more(share - len(self._desk.buckets))

    async def _lock_more(self, wanted: int) -> None:
        locked: list[int] = []
        owned = self._desk.buckets
        for bucket in candidates(owned, self._layout.buckets, self._session.number):
            if len(locked) < wanted and await self._session.lock(bucket):
                locked.append(bucket)
        if locked and not (await self._session.standing()).may_have_any():
            for bucket in locked:
                await self._session.unlock(bucket)
            return
        for bucket in locked:
            self._desk.add(bucket)
            self._publishers[bucket] = self._open_publisher(self._session.name, bucket)
            self._start(bucket, self._open(bucket))
        self._told.buckets(len(self._desk.buckets))

    async def _give_back(self, bucket: int) -> None:
        await self._publishers.pop(bucket).close()
        await self._session.unlock(bucket)
        self._desk.remove(bucket)
        self._told.buckets(len(self._desk.buckets))

    def _say_who_is_waited_for(self, may_have_any: bool) -> None:
        if not may_have_any and not self._waits_for_others:
            _log.warning(
                "waiting until relays of this table with another number of buckets have ended"
            )
        self._waits_for_others = not may_have_any

    def _start(self, bucket: int, act: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[bucket] = asyncio.create_task(act)
        task.add_done_callback(lambda _: self._wake.set())

    def _raise_faults(self) -> None:
        for bucket, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[bucket]
                task.result()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(min(self._pace.look_s, self._pace.again_s, _BALANCE_S)):
                await self._wake.wait()
        except TimeoutError:
            pass


def _now() -> float:
    """Monotonic seconds, of the event loop, so that a simulation can bring its own."""
    return asyncio.get_running_loop().time()
