"""Where the events of a key are, and hence its lanes, without reading whole topics."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hooklane.ops.log_reader import LogReader, Span
from hooklane.ops.partitioners import places_of
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.kafka_settings import plan_from
from hooklane.runtime.settings import Settings
from hooklane.runtime.topic_check import covered_event_topics
from hooklane.schemas.book import Entry
from hooklane.schemas.lane import LaneId, LaneNamer

_SAMPLE: Final = 10
"""The last offsets of each partition, of which some keys are enough."""


@dataclass(frozen=True, slots=True)
class Source:
    """An event partition by its topic's id, which names lanes."""

    place: Partition
    topic_id: str


class EventPlaces:
    """The event topics that the settings name, as they are in the cluster."""

    def __init__(self, reader: LogReader, settings: Settings) -> None:
        self._reader = reader
        self._group = settings.fanout.group_id
        self._plan = plan_from(settings)
        self._ids: dict[str, str] = {}
        self._samples: dict[str, list[tuple[bytes, int]]] = {}

    def topics(self) -> list[str]:
        """Those that HOOKLANE_FANOUT__TOPICS names and that are there, patterns included."""
        return covered_event_topics(self._plan, self._reader.topics())

    def topic_id(self, topic: str) -> str:
        if topic not in self._ids:
            self._ids[topic] = self._reader.topic_id(topic)
        return self._ids[topic]

    def holding(self, topic: str, key: bytes) -> list[int]:
        """The partitions of the topic in which the key's events can be.

        A few of the newest keys tell how its publisher chooses.
        """
        count = self._reader.count(topic)
        if topic not in self._samples:
            self._samples[topic] = list(self._sample(topic))
        return places_of(key, count, self._samples[topic])

    def sources(self, topics: Iterable[str], keys: Iterable[bytes]) -> list[Source]:
        """The event partitions in which one of the keys can be."""
        wanted = list(keys)
        return [
            Source(Partition(topic, number), self.topic_id(topic))
            for topic in topics
            for number in sorted({n for key in wanted for n in self.holding(topic, key)})
        ]

    def namer(self, source: Source, entry: Entry) -> LaneNamer:
        """Names the subscription's lanes and webhooks of live events there."""
        return LaneNamer(self._group, entry.id, entry.uid, source.topic_id, source.place.number)

    def lanes(
        self, entry: Entry, keys: Iterable[bytes], topics: Iterable[str]
    ) -> Mapping[LaneId, bytes]:
        """The subscription's lanes of these keys' live events."""
        wanted = list(keys)
        return {
            self.namer(source, entry).lane(key): key
            for source in self.sources(topics, wanted)
            for key in wanted
        }

    def _sample(self, topic: str) -> Iterable[tuple[bytes, int]]:
        whole = self._reader.whole(self._reader.partitions(topic))
        spans = {
            one: Span(max(span.first, span.end - _SAMPLE), span.end) for one, span in whole.items()
        }
        for line in self._reader.read(spans):
            if line.key is not None:
                yield line.key, line.partition
