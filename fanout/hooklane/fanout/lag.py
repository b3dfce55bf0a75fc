"""How far the event partitions are behind, for whoever scales or watches."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from hooklane.fanout.owned import OwnedPartitions
from hooklane.fanout.partition import EventPartition
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0
_EVERY: Final = 10
"""Looks from one question to the next; new partitions are asked for at the next look."""


class Ends(Protocol):
    """The part of KafkaAdmin that is asked here; it blocks."""

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...


async def keep_measuring_lag(
    owned: OwnedPartitions, admin: Ends, metrics: Metrics, look_s: float = _LOOK_S
) -> None:
    """Ask for the ends again and again. (A consumer that is paused does not hear of them.)"""
    asked: list[Partition] = []
    looks = 0
    while True:
        await asyncio.sleep(look_s)
        looks += 1
        wanted = [_named(one) for one in owned]
        if wanted == asked and looks < _EVERY:
            continue
        asked, looks = wanted, 0
        try:
            ends = await asyncio.to_thread(admin.high_watermarks, wanted)
        except HooklaneError as error:
            log.debug("lag.unknown", reason=str(error))
            continue
        for one in owned:
            end = ends.get(_named(one))
            if end is not None:
                metrics.lag(*_named(one)).set(max(end - one.ledger.committable, 0))


def _named(one: EventPartition) -> Partition:
    return Partition(one.place.topic, one.place.partition)
