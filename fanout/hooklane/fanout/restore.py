"""What earlier owners and the retrier wrote of an event partition's lanes, and releases since.

One consumer tails the lanes partitions of all owned event partitions. A newly owned one has its
lanes partition read again from the start; others that share it skip what they have seen. Rule 5:
an event partition is restored when its reading has come to the high watermark that was asked for
after the committed offset was known.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from hooklane.fanout.delivery import Place
from hooklane.fanout.lanes import LaneTable
from hooklane.schemas.codec import LANES, LEDGERS, CodecError
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord, LedgerRecord
from hooklane.schemas.topics import LaneKey, ledger_key, split_lane_key

log = structlog.get_logger(__name__)

_FOR_EVER = (1 << 63) - 1


class LaneLine(NamedTuple):
    """One record of the lanes topic, undecoded."""

    offset: int
    key: bytes
    value: bytes | None


class LaneLog(Protocol):
    """Reads partitions of the lanes topic from their start and goes on following them."""

    def read_from_start(self, partition: int) -> int:
        """Returns the number of this reading; what comes of it carries that or a higher one."""

    def stop_reading(self, partition: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """What a new owner starts from: blocked lanes, and the ledger if one stands."""

    lanes: LaneTable
    ledger: LedgerRecord | None


@dataclass(slots=True, eq=False)
class _Follower:
    """One event partition that reads its lanes partition."""

    place: Place
    ledger_key: bytes
    reading: int
    target: int
    done: asyncio.Future[Restored]
    lanes: LaneTable = field(default_factory=LaneTable)
    ledger: LedgerRecord | None = None
    position: int = 0


class LaneRestorer:
    """Restores event partitions and hands on the releases that come afterwards.

    `released(place, lane, sequence)` is called for each release of a restored event partition.
    `high_watermark(partition)` is that of the lanes partition, open transactions included.
    """

    def __init__(
        self,
        source: LaneLog,
        group: str,
        partitions: int,
        high_watermark: Callable[[int], Awaitable[int]],
        released: Callable[[Place, LaneId, int], None],
    ) -> None:
        self._source = source
        self._group = group
        self._partitions = partitions
        self._high_watermark = high_watermark
        self._released = released
        self._followers: dict[int, dict[Place, _Follower]] = {}

    async def restore(self, place: Place) -> Restored:
        """Read everything about `place`; its committed offset was asked for before this."""
        partition = place.partition % self._partitions
        target = await self._high_watermark(partition)
        follower = _Follower(
            place=place,
            ledger_key=ledger_key(self._group, place.topic_id, place.partition),
            reading=self._source.read_from_start(partition),
            target=target,
            done=asyncio.get_running_loop().create_future(),
        )
        self._followers.setdefault(partition, {})[place] = follower
        return await follower.done

    def forget(self, place: Place) -> None:
        """The event partition is not ours any more."""
        partition = place.partition % self._partitions
        followers = self._followers.get(partition, {})
        gone = followers.pop(place, None)
        if gone is not None:
            gone.done.cancel()
        if not followers and self._followers.pop(partition, None) is not None:
            self._source.stop_reading(partition)

    def read(self, partition: int, reading: int, lines: Sequence[LaneLine]) -> None:
        """Records of a lanes partition, in order."""
        followers = [
            one
            for one in self._followers.get(partition, {}).values()
            if reading >= one.reading and lines[-1].offset >= one.position
        ]
        for line in lines if followers else ():
            self._line(line, followers)

    def reached_end(self, partition: int, reading: int, offset: int) -> None:
        """The reading has come to `offset`, and there is nothing committed beyond it now."""
        for one in self._followers.get(partition, {}).values():
            if reading >= one.reading and offset >= one.target and not one.done.done():
                one.lanes.restored()
                one.done.set_result(Restored(one.lanes, one.ledger))

    def _line(self, line: LaneLine, followers: Sequence[_Follower]) -> None:
        split = split_lane_key(line.key)
        for one in followers:
            if line.offset < one.position:
                continue
            one.position = line.offset + 1
            if split is None:
                continue
            kind, rest = split
            if kind is not LaneKey.LEDGER:
                self._lane(one, kind, LaneId(rest), line)
            elif line.key == one.ledger_key and not one.done.done():
                one.ledger = _ledger(line)

    def _lane(self, one: _Follower, kind: LaneKey, lane: LaneId, line: LaneLine) -> None:
        if line.value is None:
            if not one.done.done():
                one.lanes.restore(kind, lane, None)
            return
        record = _lane_record(line)
        if record is None:
            # What a newer version wrote blocks its lane: to wait is safe, to overtake is not.
            if kind is LaneKey.BLOCKED and not one.done.done():
                one.lanes.restore(kind, lane, _FOR_EVER)
        elif not self._is_of(record, one.place):
            return
        elif not one.done.done():
            one.lanes.restore(kind, lane, record.sequence)
        elif kind is LaneKey.RELEASED:
            self._released(one.place, lane, record.sequence)

    def _is_of(self, record: LaneRecord, place: Place) -> bool:
        return (
            record.partition == place.partition
            and record.topic_id == place.topic_id
            and record.group == self._group
        )


def _lane_record(line: LaneLine) -> LaneRecord | None:
    try:
        return LANES.decode(line.value or b"")
    except CodecError as error:
        log.error("lanes.unreadable_record", key=line.key.decode(), reason=str(error))
        return None


def _ledger(line: LaneLine) -> LedgerRecord | None:
    """A ledger that cannot be read only costs repeats, so the partition goes on without it."""
    if line.value is None:
        return None
    try:
        return LEDGERS.decode(line.value)
    except CodecError as error:
        log.error("lanes.unreadable_ledger", key=line.key.decode(), reason=str(error))
        return None
