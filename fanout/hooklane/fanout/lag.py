"""How far the event partitions are behind, for whoever scales or watches."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from hooklane.fanout.owned import OwnedPartitions
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

_EVERY_S: Final = 10.0


class Ends(Protocol):
    """The part of KafkaAdmin that is asked here; it blocks."""

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...


async def keep_measuring_lag(
    owned: OwnedPartitions, admin: Ends, metrics: Metrics, every_s: float = _EVERY_S
) -> None:
    """Ask for the ends again and again. (A consumer that is paused does not hear of them.)"""
    while True:
        await asyncio.sleep(every_s)
        wanted = [Partition(one.place.topic, one.place.partition) for one in owned]
        try:
            ends = await asyncio.to_thread(admin.high_watermarks, wanted)
        except HooklaneError as error:
            log.debug("lag.unknown", reason=str(error))
            continue
        for one in owned:
            end = ends.get(Partition(one.place.topic, one.place.partition))
            if end is not None:
                behind = max(end - one.ledger.committable, 0)
                metrics.lag(one.place.topic, one.place.partition).set(behind)
