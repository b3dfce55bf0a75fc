"""Finds the records of events, by what somebody knows of them: an id, a webhook's id, a key."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Message

from hooklane.ops.attempts_view import AttemptSelection
from hooklane.ops.event_places import EventPlaces
from hooklane.ops.event_reading import Read
from hooklane.ops.log_reader import LogReader, Span
from hooklane.ops.log_search import FullRecord, Keep, headers_of, searched
from hooklane.ops.log_selection import Newest, Window
from hooklane.ops.output import notice
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.codec import ATTEMPTS, CodecError
from hooklane.schemas.event import Event, SourceRecord, Told

_PLACE: Final = re.compile(r"(.+)-(0|[1-9][0-9]*)-(0|[1-9][0-9]*)")
_WEBHOOK_ID: Final = re.compile(r"msg_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """A record of an event topic, and what it means."""

    record: SourceRecord
    decoded: Told

    @property
    def place(self) -> tuple[Partition, int]:
        return Partition(self.record.topic, self.record.partition), self.record.offset


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which records are meant: by their bytes, then by what they mean."""

    window: Window
    may_be: Keep
    holds: Callable[[FoundEvent], bool] = lambda _found: True


class EventFinder:
    """Looks in these event topics, and in the attempts for a webhook's id. `read` reads records as
    the fan-out does."""

    def __init__(
        self,
        reader: LogReader,
        places: EventPlaces,
        topics: Sequence[str],
        attempts: str,
        read: Read,
    ) -> None:
        self._read = read
        self._reader = reader
        self._places = places
        self._topics = topics
        self._attempts = attempts

    def of_key(self, keys: frozenset[bytes], window: Window, limit: int) -> list[FoundEvent]:
        """The newest so many events of a key, oldest first.

        First where the topic's partitioner puts it, and everywhere if nothing is there.
        """
        likely = [source.place for source in self._places.sources(self._topics, keys)]
        wanted = _Wanted(window, lambda message: message.key() in keys)
        found = self._newest(likely, wanted, limit)
        rest = sorted(set(self._everywhere()) - set(likely))
        return found if found or not rest else self._newest(rest, wanted, limit)

    def of_id(self, given: str, window: Window, limit: int) -> list[FoundEvent]:
        """The events of this id; several where a publisher has published one again.

        An id that Hooklane gave says the place itself; a webhook's id is looked for among the
        attempts.
        """
        placed = _PLACE.fullmatch(given)
        if placed is not None and placed[1] in self._reader.topics():
            found = self._at(Partition(placed[1], int(placed[2])), int(placed[3]))
            if found is not None and _id(found) in {given, None}:
                return [found]
        if _WEBHOOK_ID.fullmatch(given):
            return list(self._of_webhook(given, window))
        wanted = _Wanted(window, _may_be(given), lambda found: _id(found) == given)
        return self._newest(self._everywhere(), wanted, limit)

    def _of_webhook(self, webhook_id: str, window: Window) -> Iterator[FoundEvent]:
        selection = AttemptSelection(event=webhook_id)
        spans = self._reader.between(self._reader.partitions(self._attempts), window.since_ms, None)
        for line in searched(self._reader, spans, holding([webhook_id.encode()])):
            try:
                attempt = ATTEMPTS.decode(line.value or b"")
            except CodecError:
                continue
            if selection.holds(attempt):
                found = self._at(Partition(attempt.topic, attempt.partition), attempt.sequence)
                if found is not None:
                    yield found
                return

    def _at(self, place: Partition, offset: int) -> FoundEvent | None:
        if place.number >= self._reader.count(place.topic):
            return None
        span = self._reader.whole([place])[place]
        if not span.first <= offset < span.end:
            return None
        here = {place: Span(offset, offset + 1)}
        for record in searched(self._reader, here, lambda _message: True):
            return self._found(record)
        return None

    def _everywhere(self) -> list[Partition]:
        return [place for topic in self._topics for place in self._reader.partitions(topic)]

    def _newest(
        self, partitions: Sequence[Partition], wanted: "_Wanted", limit: int
    ) -> list[FoundEvent]:
        newest = Newest[tuple[Partition, int], FoundEvent](limit)
        spans = self._reader.between(partitions, wanted.window.since_ms, wanted.window.until_ms)
        for record in searched(self._reader, spans, wanted.may_be):
            if wanted.window.holds(record.timestamp_ms):
                found = self._found(record)
                if wanted.holds(found):
                    newest.add(found.place, record.timestamp_ms, found)
        events = newest.oldest_first()
        if newest.left_out:
            notice(f"Only the newest {limit} events are shown: --limit N shows more.")
        return events

    def _found(self, line: FullRecord) -> FoundEvent:
        record = line.source(self._places.topic_id(line.topic))
        return FoundEvent(record, self._read(record))


def _id(found: FoundEvent) -> str | None:
    return found.decoded.attributes["id"] if isinstance(found.decoded, Event) else None


def _may_be(event_id: str) -> Keep:
    """A CloudEvent's id is in a header, or in the document, perhaps as JSON writes it."""
    return holding({event_id.encode(), json.dumps(event_id)[1:-1].encode()})


def holding(texts: Iterable[bytes]) -> Keep:
    """Wants records with one of these in the value, or as a header's value."""
    wanted = tuple(texts)

    def keep(message: Message) -> bool:
        value = message.value()
        if isinstance(value, bytes) and any(text in value for text in wanted):
            return True
        return any(found in wanted for _, found in headers_of(message))

    return keep
