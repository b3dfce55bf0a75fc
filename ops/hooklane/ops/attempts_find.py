"""Where the attempts of a selection are: the lane gives the partition, the time the offsets."""

from dataclasses import dataclass

from confluent_kafka import Message

from hooklane.ops.attempts_view import AttemptSelection
from hooklane.ops.event_places import EventPlaces
from hooklane.ops.log_reader import LogReader, Spans
from hooklane.ops.log_search import Keep
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.settings import Settings
from hooklane.schemas.lane import lane_partition

_BEFORE_MS = 60_000
_AFTER_MS = 15 * 60_000
"""A record is written when its attempt has ended: up to the longest timeout after its start."""


@dataclass(frozen=True, slots=True)
class Search:
    """The partitions to read, and the keys that records there must have; None for any."""

    partitions: list[Partition]
    lanes: frozenset[bytes] | None = None


class AttemptPlaces:
    def __init__(self, reader: LogReader, settings: Settings) -> None:
        self._reader = reader
        self._settings = settings
        self._topic = settings.topic_names.attempts

    def everywhere(self) -> Search:
        return Search(self._reader.partitions(self._topic))

    def of(self, selection: AttemptSelection) -> Search | None:
        """The lanes of a subscription's key; None where the selection does not name lanes.

        Those of live events: a redrive's and a replay's are other ones. A delivery without order
        is a lane of its own.
        """
        if selection.subscription is None or selection.keys is None:
            return None
        places = EventPlaces(self._reader, self._settings)
        topics = places.topics()
        entry = ConfigTopic(self._settings).read().entry(selection.subscription)
        if not topics or entry is None or not entry.by_key:
            return None
        lanes = places.lanes(entry, selection.keys, topics)
        count = self._reader.count(self._topic)
        numbers = sorted({lane_partition(lane, count) for lane in lanes})
        partitions = [Partition(self._topic, number) for number in numbers]
        return Search(partitions, frozenset(lane.encode() for lane in lanes))

    def spans(self, search: Search, selection: AttemptSelection) -> Spans:
        """What to read of them, by the time that is asked for."""
        since_ms, until_ms = selection.window.since_ms, selection.window.until_ms
        return self._reader.between(
            search.partitions,
            None if since_ms is None else since_ms - _BEFORE_MS,
            None if until_ms is None else until_ms + _AFTER_MS,
        )


def wanted(search: Search, selection: AttemptSelection) -> Keep:
    """Judges a record by its bytes, so that most are passed over undecoded."""
    lanes = search.lanes

    def keep(message: Message) -> bool:
        if lanes is not None and message.key() not in lanes:
            return False
        value = message.value()
        return isinstance(value, bytes) and selection.may_hold(value)

    return keep
