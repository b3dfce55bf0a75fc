"""Gathers what topics know of events: attempts, dead letters, what waits. In passes over the
partitions of their lanes alone, and only for what an earlier pass did not answer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hooklane.fanout.match_explain import explain
from hooklane.ops.event_places import EventPlaces, Source
from hooklane.ops.event_reading import EventReading
from hooklane.ops.lanes_read import LaneFinder
from hooklane.ops.log_reader import open_reader
from hooklane.ops.log_search import FullRecord, searched
from hooklane.ops.output import notice
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.ops.trace_consumed import Progress, ProgressReader
from hooklane.ops.trace_find import EventFinder, FoundEvent, holding
from hooklane.ops.trace_way import Consumed, Waiting, Way
from hooklane.runtime.errors import UsageError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.kafka_settings import tenants_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS, LETTER_MARKS, Codec, CodecError
from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.records import DeadLetter, DeliveryAttempt

_SKEW_MS: Final = 2 * 3_600_000
"""Clocks of hosts differ, and a publisher's may be any."""
_ATTEMPTS: Final = 500_000
"""How many of the newest attempts of a partition are looked through for a lane's last error."""

R = TypeVar("R", DeliveryAttempt, DeadLetter)


@dataclass(frozen=True, slots=True)
class Trail:
    """One event and its ways; none where the record is no event."""

    found: FoundEvent
    consumed: Consumed
    ways: Sequence[Way]


class TraceDesk:
    """Opened for one command, closed after it. `topics`: those that are asked for, else the
    settings'."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._names = settings.topic_names
        self._tenants = tenants_from(settings)
        self._reader = open_reader(settings)
        self._places = EventPlaces(self._reader, settings)
        self._lanes = LaneFinder(self._reader, self._names, settings.retry.tiers)
        self._count = self._reader.count(self._names.attempts)
        self.topics = list(topics) or self._places.topics()
        if not self.topics:
            raise UsageError(
                "No event topic is known here: name one by --topic, or set HOOKLANE_FANOUT__TOPICS "
                "as it is for the fan-out."
            )
        missing = set(self.topics).difference(self._reader.topics())
        if missing:
            raise UsageError(
                f"There is no topic {', '.join(sorted(missing))}, or it may not be seen by this "
                "user: name another by --topic."
            )

    def close(self) -> None:
        self._reader.close()

    def finder(self) -> EventFinder:
        read = EventReading(self._settings).looked_at
        return EventFinder(self._reader, self._places, self.topics, self._names.attempts, read)

    def book(self) -> SubscriptionBook:
        return ConfigTopic(self._settings).read()

    def trails(self, events: Sequence[FoundEvent], entries: Sequence[Entry]) -> list[Trail]:
        """What became of the events, for each of the subscriptions."""
        group = self._settings.fanout.group_id
        progress = ProgressReader(self._reader, group, self._names.lanes).of(events)
        trails = [self._trail(event, progress[event.place[0]], entries) for event in events]
        self._fill([way for trail in trails for way in trail.ways], _oldest(events))
        return trails

    def _trail(self, found: FoundEvent, progress: Progress, entries: Iterable[Entry]) -> Trail:
        event, offset = found.decoded, found.record.offset
        consumed = progress.consumed(offset)
        if not isinstance(event, Event):
            return Trail(found, consumed, ())
        source = Source(found.place[0], event.topic_id)
        ways = []
        for entry in entries:
            namer = self._places.namer(source, entry)
            by_key = entry.by_key and event.key is not None
            ways.append(
                Way(
                    entry=entry,
                    lane=namer.lane(event.key) if by_key else namer.one_shot(event.key, offset),
                    sequence=offset,
                    webhook_id=namer.webhook_id(offset),
                    objection=explain(event, entry, self._tenants),
                    consumed=consumed,
                    settled=progress.settled(offset, entry),
                )
            )
        return Trail(found, consumed, ways)

    def _fill(self, ways: Sequence[Way], since_ms: int) -> None:
        known = {(way.lane, way.sequence): way for way in ways}
        for attempt in self._of_lanes(ATTEMPTS, self._names.attempts, known, since_ms):
            known[attempt.lane, attempt.sequence].attempts.append(attempt)
        left = {place: way for place, way in known.items() if way.delivered is None}
        for letter in self._of_lanes(DEAD_LETTERS, self._names.dead_letters, left, since_ms):
            left[letter.lane, letter.sequence].letter = letter
        self._add_waiting([way for way in left.values() if way.letter is None])
        self._add_redriven([way for way in left.values() if way.letter is not None])

    def _of_lanes(
        self,
        codec: Codec[R],
        topic: str,
        ways: Mapping[tuple[LaneId, int], Way],
        since_ms: int,
    ) -> Iterable[R]:
        """The records of these deliveries, lane by lane in their order."""
        lanes = {lane.encode(): lane_partition(lane, self._count) for lane, _ in ways}
        places = [Partition(topic, number) for number in sorted(set(lanes.values()))]
        spans = self._reader.between(places, since_ms, None)
        records = searched(self._reader, spans, lambda message: message.key() in lanes)
        return (
            record for record in _decoded(codec, records) if (record.lane, record.sequence) in ways
        )

    def _add_waiting(self, ways: Sequence[Way]) -> None:
        if not ways:
            return
        index = self._lanes.holding({way.lane for way in ways})
        before: dict[int, int] = {}
        for way in ways:
            sequences = [one.sequence for one in index.lanes.get(way.lane, ())]
            if way.sequence in sequences:
                before[id(way)] = sequences.index(way.sequence)
        there = {way.lane for way in ways if id(way) in before}
        lanes = self._lanes.lanes(index, there, tasks=1)
        self._lanes.add_tickets(lanes)
        self._lanes.add_last_attempts(lanes, _ATTEMPTS)
        by_id = {lane.lane: lane for lane in lanes}
        for way in ways:
            if id(way) in before and way.lane in by_id:
                way.waiting = Waiting(by_id[way.lane], before[id(way)])

    def _add_redriven(self, ways: Sequence[Way]) -> None:
        """A redrive has a lane of its own, and keeps the webhook's id by which it is found."""
        if not ways:
            return
        wanted = {way.webhook_id: way for way in ways}
        texts = [webhook_id.encode() for webhook_id in wanted]
        since_ms = min(way.letter.at_ms for way in ways if way.letter is not None) - _SKEW_MS
        spans = self._reader.between(self._reader.partitions(self._names.attempts), since_ms, None)
        records = searched(self._reader, spans, holding(texts))
        for attempt in _decoded(ATTEMPTS, records):
            way = wanted.get(attempt.webhook_id)
            if way is not None and attempt.lane != way.lane:
                way.attempts.append(attempt)
        for way in ways:
            way.attempts.sort(key=lambda attempt: attempt.started_ms)


def _decoded(codec: Codec[R], records: Iterable[FullRecord]) -> Iterator[R]:
    unread = 0
    for found in records:
        value = found.value or b""
        if LETTER_MARKS.wrote(value):
            # What became of a dead letter stands among them, and is none.
            continue
        try:
            record = codec.decode(value)
        except CodecError:
            unread += 1
        else:
            yield record
    if unread:
        notice(f"{unread} records cannot be read by this version and may be meant too.")


def _oldest(events: Iterable[FoundEvent]) -> int:
    """Before this time nothing was written about them."""
    return min((event.record.timestamp_ms for event in events), default=0) - _SKEW_MS
