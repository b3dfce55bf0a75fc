"""How far event partitions are behind, as the metrics have it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from hooklane.fanout.lag import keep_measuring_lag
from hooklane.fanout.process import Process
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_admin import Partition
from tests.support.fanout_facts import counted, partition, process, until

PARTITION_1 = {"topic": "orders", "partition": "1"}


class Ends:
    """Kafka's answers; an exception is raised."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return dict.fromkeys(partitions, answer)


@asynccontextmanager
async def measuring(of: Process, ends: Ends, look_s: float = 0.001) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_measuring_lag(of.owned, ends, of.metrics, look_s))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_from_the_first_unsettled_event_to_the_end() -> None:
    """What was taken in and has not arrived is behind as well; each partition for itself."""
    fanout = process()
    for number, offset in ((0, 40), (1, 100)):
        fanout.owned.add(partition(number, offset))
    one, _ = fanout.owned
    one.ledger.admit(40, [b"a"])
    one.ledger.admit(41, ())
    ends = Ends(100)
    async with measuring(fanout, ends):
        await until(lambda: ends.asked >= 2)
    assert counted(fanout.metrics, "lag_events", topic="orders", partition="0") == 60
    assert counted(fanout.metrics, "lag_events", topic="orders", partition="1") == 0


async def test_an_outage_only_leaves_it_as_it_was() -> None:
    """A broker that is away ends nothing: it is asked again."""
    fanout = process()
    fanout.owned.add(partition(0, 40))
    ends = Ends(50, BrokerError("no answer"), 70)
    async with measuring(fanout, ends):
        await until(lambda: ends.asked >= 4)
    assert counted(fanout.metrics, "lag_events", topic="orders", partition="0") == 30


async def test_new_partitions_are_asked_for_at_once() -> None:
    """After a rebalance nobody looks at nothing for ten looks."""
    fanout = process()
    fanout.owned.add(partition(0, 40))
    ends = Ends(50)
    async with measuring(fanout, ends, 0.02):
        await until(lambda: ends.asked == 1)
        fanout.owned.add(partition(1, 45))
        await until(lambda: ends.asked == 2)
        await until(lambda: counted(fanout.metrics, "lag_events", **PARTITION_1) == 5)
