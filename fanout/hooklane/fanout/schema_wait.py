"""Partitions whose next event needs a schema that is not known yet.

Such a partition holds what it has read and reads no more, so that nothing is overtaken; the others
go on. A registry that does not answer is asked again until it does: that it is down says nothing
about the record.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.reading import Schemas
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.log_quota import LogQuota, QuotaTerms
from hooklane.runtime.metrics import FetchOutcome

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 5.0


class SchemaWait:
    """`again` is told of each partition whose schema has become known; `broken` of a fault of ours.

    Lives in the event loop.
    """

    def __init__(
        self,
        process: Process,
        schemas: Schemas,
        again: Callable[[EventPartition], None],
        broken: Callable[[str], None],
    ) -> None:
        self._owned = process.owned
        self._metrics = process.metrics
        self._monotonic = process.clock.monotonic
        self._schemas = schemas
        self._again = again
        self._broken = broken
        self._waiting: dict[int, list[EventPartition]] = {}
        self._fetching: dict[int, asyncio.Task[None]] = {}
        self._quota = LogQuota(QuotaTerms(each=1, all=1))
        self._down_since: float | None = None

    def want(self, schema_id: int, partition: EventPartition) -> None:
        """The partition holds its events until the schema is known."""
        self._waiting.setdefault(schema_id, []).append(partition)
        if schema_id not in self._fetching:
            task = asyncio.create_task(self._fetch(schema_id))
            task.add_done_callback(self._ended)
            self._fetching[schema_id] = task

    def stop(self) -> None:
        for task in self._fetching.values():
            task.cancel()

    async def _fetch(self, schema_id: int) -> None:
        """Until the registry has said what it knows, or nobody here needs it any more."""
        pause = FIRST_PAUSE_S
        while not await self._asked(schema_id):
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            if not any(map(self._owned.holds, self._waiting[schema_id])):
                break
        del self._fetching[schema_id]
        for partition in self._waiting.pop(schema_id):
            if self._owned.holds(partition):
                self._again(partition)

    async def _asked(self, schema_id: int) -> bool:
        """Whether the registry has answered."""
        try:
            found = await self._schemas.fetch(schema_id)
        except HooklaneError as error:
            self._metrics.schema_fetches[FetchOutcome.FAILED].inc()
            self._tell_down(schema_id, str(error))
            return False
        self._metrics.schema_fetches[FetchOutcome.FOUND if found else FetchOutcome.MISSING].inc()
        self._tell_up()
        return True

    def _tell_down(self, schema_id: int, reason: str) -> None:
        """One line when it begins, then one a minute."""
        now = self._monotonic()
        if self._down_since is None:
            self._down_since = now
        if self._quota.take("schema_registry.waits", "", now) is not None:
            log.warning(
                "schema_registry.waits",
                reason=reason,
                schema_id=schema_id,
                partitions=sum(map(len, self._waiting.values())),
                seconds=round(now - self._down_since, 1),
            )

    def _tell_up(self) -> None:
        if self._down_since is not None:
            seconds = round(self._monotonic() - self._down_since, 1)
            self._down_since = None
            log.info("schema_registry.answers", seconds=seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Without its fetch a partition would wait for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("schema.fetch_failed", exc_info=error)
            self._broken(f"a schema could not be fetched: {error!r}")
