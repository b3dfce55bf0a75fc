"""Restoring from the lanes topic: to the high watermark, by event partition, then releases."""

import asyncio

import pytest

from hooklane.fanout.delivery import Place
from hooklane.fanout.restore import LaneLine, LaneRestorer, Restored
from hooklane.schemas.codec import LANES, LEDGERS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord, LedgerRecord, Span
from hooklane.schemas.topics import blocked_key, ledger_key, released_key

L, M = LaneId("1" * 32), LaneId("2" * 32)
HERE, TWIN, ELSEWHERE = Place("a", "A", 1), Place("b", "B", 13), Place("a", "A", 2)


class Log:
    """Stands for the lanes topic: the test says what is read."""

    def __init__(self) -> None:
        self.readings: list[int] = []
        self.stopped: list[int] = []

    def read_from_start(self, partition: int) -> int:
        self.readings.append(partition)
        return len(self.readings)

    def stop_reading(self, partition: int) -> None:
        self.stopped.append(partition)


class Bench:
    def __init__(self, high_watermark: int = 10) -> None:
        self.log = Log()
        self.released: list[tuple[Place, LaneId, int]] = []
        self.high = high_watermark
        self.restorer = LaneRestorer(
            self.log, "g", 12, self._high_watermark, lambda *one: self.released.append(one)
        )

    async def _high_watermark(self, partition: int) -> int:
        return self.high

    async def begin(self, place: Place) -> "asyncio.Task[Restored]":
        task = asyncio.create_task(self.restorer.restore(place))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task


def record(place: Place, sequence: int, group: str = "g") -> bytes:
    return LANES.encode(
        LaneRecord(sequence, group, place.topic, place.topic_id, place.partition, "s", "", b"k", 0)
    )


def blocked(offset: int, lane: LaneId, place: Place, sequence: int) -> LaneLine:
    return LaneLine(offset, blocked_key(lane), record(place, sequence))


def released(offset: int, lane: LaneId, place: Place, sequence: int) -> LaneLine:
    return LaneLine(offset, released_key(lane), record(place, sequence))


async def test_restored_at_the_high_watermark_and_not_before() -> None:
    """Rule 5: the end of what is committed now is not the end: an open transaction may follow."""
    bench = Bench(high_watermark=10)
    task = await bench.begin(HERE)
    bench.restorer.reached_end(1, 1, 4)
    await asyncio.sleep(0)
    assert not task.done()
    bench.restorer.read(1, 1, [blocked(8, L, HERE, 7)])
    bench.restorer.reached_end(1, 1, 10)
    assert (await task).lanes.is_blocked(L)


async def test_only_its_own_lanes_and_ledger() -> None:
    """The lanes partition is shared with other event partitions and groups."""
    bench = Bench(high_watermark=5)
    ledger = LedgerRecord("g", "a", "A", 1, 3, (Span(4, 5),), ())
    task = await bench.begin(HERE)
    bench.restorer.read(
        1,
        1,
        [
            blocked(0, L, TWIN, 7),
            LaneLine(1, blocked_key(M), record(HERE, 3, group="another")),
            LaneLine(2, ledger_key("g", "A", 1), LEDGERS.encode(ledger)),
            LaneLine(3, ledger_key("g", "B", 13), LEDGERS.encode(ledger)),
            released(4, LaneId("3" * 32), TWIN, 1),
        ],
    )
    bench.restorer.reached_end(1, 1, 5)
    found = await task
    assert not found.lanes.is_blocked(L)
    assert not found.lanes.is_blocked(M)
    assert not found.lanes.has_due
    assert found.ledger == ledger


async def test_a_ledger_tombstone_means_no_ledger() -> None:
    """The last record counts, also when it is a tombstone."""
    bench = Bench(high_watermark=2)
    key = ledger_key("g", "A", 1)
    ledger = LedgerRecord("g", "a", "A", 1, 3, (Span(4, 5),), ())
    task = await bench.begin(HERE)
    bench.restorer.read(1, 1, [LaneLine(0, key, LEDGERS.encode(ledger)), LaneLine(1, key, None)])
    bench.restorer.reached_end(1, 1, 2)
    assert (await task).ledger is None


async def test_releases_after_the_restore_are_handed_on() -> None:
    """Rule 5: the same reading goes on; own writes are not taken a second time."""
    bench = Bench(high_watermark=0)
    task = await bench.begin(HERE)
    bench.restorer.reached_end(1, 1, 0)
    lanes = (await task).lanes
    bench.restorer.read(1, 1, [blocked(0, L, HERE, 9), released(1, L, HERE, 9)])
    assert bench.released == [(HERE, L, 9)]
    assert not lanes.is_blocked(L)


async def test_a_second_partition_reads_again_without_disturbing_the_first() -> None:
    """Two event partitions share a lanes partition: the elder skips what it has seen."""
    bench = Bench(high_watermark=2)
    first = await bench.begin(HERE)
    bench.restorer.read(1, 1, [blocked(0, L, HERE, 1), released(1, M, HERE, 1)])
    bench.restorer.reached_end(1, 1, 2)
    await first
    second = await bench.begin(TWIN)
    bench.restorer.read(1, 1, [blocked(2, M, TWIN, 5)])
    assert not second.done()
    bench.restorer.read(
        1, 2, [blocked(0, L, HERE, 1), released(1, M, HERE, 1), blocked(2, M, TWIN, 5)]
    )
    bench.restorer.reached_end(1, 2, 3)
    assert (await second).lanes.is_blocked(M)
    assert bench.released == []
    bench.restorer.read(1, 2, [released(3, L, HERE, 1)])
    assert bench.released == [(HERE, L, 1)]


async def test_what_cannot_be_read_blocks_its_lane() -> None:
    """A newer version's record is left to wait: to overtake would break the order."""
    bench = Bench(high_watermark=1)
    task = await bench.begin(HERE)
    bench.restorer.read(1, 1, [LaneLine(0, blocked_key(L), b"\xc3\x01unknown!")])
    bench.restorer.reached_end(1, 1, 1)
    assert (await task).lanes.is_blocked(L)


async def test_a_partition_that_goes_away_while_it_is_restored() -> None:
    """Forgotten: its restore ends, and its lanes partition is read no more."""
    bench = Bench()
    task = await bench.begin(ELSEWHERE)
    bench.restorer.forget(ELSEWHERE)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.log.stopped == [2]
