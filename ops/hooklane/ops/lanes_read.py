"""Finds the waiting lanes in Kafka, in passes, so that no payload is kept.

backlog, keys alone --> which tasks wait --> records of each lane's first task, decoded
tiers, keys of those lanes --> tickets --> how far each first task is
attempts, keys of those lanes --> the last error, where a bounded reading finds it
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from hooklane.ops.lanes_index import BacklogIndex, TaskPlace
from hooklane.ops.lanes_view import KnownTask, TaskFacts, UnreadTask, WaitingLane, known_task
from hooklane.ops.log_reader import Line, LogReader, Span
from hooklane.ops.output import notice
from hooklane.runtime.errors import HooklaneError, UsageError
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.codec import ATTEMPTS, TICKETS, CodecError
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.topics import Delay, TopicNames

_SKEW_MS: Final = 2 * 3_600_000
"""Records of one lane may come from hosts whose clocks differ."""
_PREFIX = re.compile("[0-9a-f]{8,32}")
_WHOLE = 32


class NoSuchLaneError(HooklaneError):
    """Nothing waits in such a lane."""


@dataclass(frozen=True, slots=True)
class FoundLane:
    """A lane by its id, and the index that has its tasks."""

    lane: LaneId
    index: BacklogIndex


class LaneFinder:
    """`tiers` are those of the settings: tickets of others are not looked for."""

    def __init__(self, reader: LogReader, names: TopicNames, tiers: tuple[Delay, ...]) -> None:
        self._reader = reader
        self._names = names
        self._tiers = {names.retry(tier): tier.text for tier in tiers}
        self._count = reader.count(names.backlog)

    def partition(self, lane: LaneId) -> int:
        """Where the lane's backlog, tickets, attempts and dead letters are."""
        return lane_partition(lane, self._count)

    def all(self) -> BacklogIndex:
        """Every lane with tasks."""
        return self._index(range(self._count))

    def holding(self, lanes: Iterable[LaneId]) -> BacklogIndex:
        """Every lane with tasks in the partitions of these."""
        return self._index(sorted(set(map(self.partition, lanes))))

    def named(self, given: str) -> FoundLane:
        """The lane of this id, or of this beginning of one; a whole id costs one partition.

        Raises:
            UsageError: it is no id, or several lanes begin so.
            NoSuchLaneError: nothing waits there.
        """
        prefix = given.lower()
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"{given!r} is no lane: give its id, or its first 8 digits or more.")
        whole = len(prefix) == _WHOLE
        index = self._index([self.partition(LaneId(prefix))] if whole else range(self._count))
        found = index.begin_with(prefix)
        if len(found) > 1:
            raise UsageError(f"{len(found)} lanes begin with {given}: give more of its digits.")
        if not found:
            raise NoSuchLaneError(
                f"Nothing waits in lane {given}: it was delivered or given up, or never was; "
                "`hooklane lanes list` shows all that wait."
            )
        return FoundLane(found[0], index)

    def lanes(self, index: BacklogIndex, only: Iterable[LaneId], tasks: int) -> list[WaitingLane]:
        """These lanes with the facts of their first so many tasks."""
        wanted = {lane: list(islice(index.lanes[lane], tasks)) for lane in only}
        known = self._tasks(wanted)
        found = []
        for lane, places in wanted.items():
            # A record that went while we read was resolved.
            there = [known[lane, one.sequence] for one in places if (lane, one.sequence) in known]
            if there:
                found.append(WaitingLane(lane, len(index.lanes[lane]), there))
        return found

    def at(self, found: FoundLane, sequence: int | None) -> tuple[WaitingLane, bytes]:
        """A lane as seen from one of its tasks, by default its first, and the task's record.

        Raises:
            NoSuchLaneError: there is no such task, or it was resolved a moment ago.
        """
        places = found.index.lanes[found.lane]
        place = next((one for one in places if sequence is None or one.sequence == sequence), None)
        if place is not None:
            for line in self._records({found.lane: [place]}):
                if line.value is not None:
                    task = known_task(place.sequence, line.value)
                    return WaitingLane(found.lane, len(places), [task]), line.value
        which = "first task" if sequence is None else f"task {sequence}"
        raise NoSuchLaneError(
            f"The {which} of lane {found.lane} does not wait: it was delivered or given up, or "
            "never was; `hooklane lanes show` shows those that wait."
        )

    def offset_of(self, found: FoundLane, sequence: int) -> int:
        """Where the task's record stands in its partition of the backlog."""
        return next(p.offset for p in found.index.lanes[found.lane] if p.sequence == sequence)

    def add_tickets(self, lanes: Iterable[WaitingLane]) -> None:
        """Let each lane know of the tickets of its first task."""
        by_lane = {lane.lane: lane for lane in lanes}
        oldest = self._oldest(by_lane)
        unread = 0
        for line in self._reader.read(
            self._reader.since(
                {Partition(topic, p): at for topic in self._tiers for p, at in oldest.items()}
            )
        ):
            lane = _lane_of(line, by_lane)
            if lane is None or line.value is None:
                continue
            try:
                lane.take_ticket(self._tiers[line.topic], TICKETS.decode(line.value))
            except CodecError:
                unread += 1
        if unread:
            notice(f"{unread} tickets could not be read: a newer version may have written them.")

    def add_last_attempts(self, lanes: Iterable[WaitingLane], limit: int) -> None:
        """Let each lane know of the last attempt of its first task, where it is among the newest
        `limit` of its partition."""
        by_lane = {lane.lane: lane for lane in lanes}
        oldest = self._oldest(by_lane)
        spans = self._reader.since(
            {Partition(self._names.attempts, p): at for p, at in oldest.items()}
        )
        bounded = {
            one: Span(max(span.first, span.end - limit), span.end) for one, span in spans.items()
        }
        for line in self._reader.read(bounded):
            lane = _lane_of(line, by_lane)
            if lane is None or line.value is None:
                continue
            try:
                lane.take_attempt(ATTEMPTS.decode(line.value))
            except CodecError:
                continue  # the error of that one is not known here

    def _index(self, numbers: Iterable[int]) -> BacklogIndex:
        index = BacklogIndex()
        partitions = [Partition(self._names.backlog, number) for number in numbers]
        for line in self._reader.read(self._reader.whole(partitions)):
            index.read(line.key, line.offset, tombstone=line.value is None)
        if index.unknown_keys:
            notice(f"{index.unknown_keys} backlog records have keys that this version cannot read.")
        return index

    def _tasks(
        self, wanted: Mapping[LaneId, list[TaskPlace]]
    ) -> dict[tuple[LaneId, int], KnownTask]:
        sequences = {
            (self.partition(lane), place.offset): (lane, place.sequence)
            for lane, places in wanted.items()
            for place in places
        }
        found: dict[tuple[LaneId, int], KnownTask] = {}
        for line in self._records(wanted):
            if line.value is not None:
                lane, sequence = sequences[line.partition, line.offset]
                found[lane, sequence] = known_task(sequence, line.value)
        return found

    def _records(self, wanted: Mapping[LaneId, list[TaskPlace]]) -> Iterator[Line]:
        offsets: dict[Partition, set[int]] = {}
        for lane, places in wanted.items():
            place = Partition(self._names.backlog, self.partition(lane))
            offsets.setdefault(place, set()).update(one.offset for one in places)
        spans = {one: Span(min(those), max(those) + 1) for one, those in offsets.items() if those}
        for line in self._reader.read(spans):
            if line.offset in offsets[Partition(line.topic, line.partition)]:
                yield line

    def _oldest(self, lanes: Mapping[LaneId, WaitingLane]) -> dict[int, int]:
        """By partition the time before which nothing was written for these lanes' first tasks."""
        oldest: dict[int, int] = {}
        for lane in lanes.values():
            number, at_ms = self.partition(lane.lane), _begun_ms(lane.first)
            oldest[number] = min(at_ms, oldest.get(number, at_ms))
        return oldest


def _begun_ms(task: KnownTask) -> int:
    match task:
        case TaskFacts():
            return task.redirected_ms - _SKEW_MS
        case UnreadTask():
            return 0


def _lane_of(line: Line, lanes: Mapping[LaneId, WaitingLane]) -> WaitingLane | None:
    try:
        return None if line.key is None else lanes.get(LaneId(line.key.decode()))
    except UnicodeDecodeError:
        return None
