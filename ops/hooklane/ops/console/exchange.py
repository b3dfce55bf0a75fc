"""What was sent at an attempt: made again from the event and the document, since no attempt keeps
its request; without what is secret in it."""

from dataclasses import dataclass, replace
from typing import Final

from hooklane.delivery.asked import Documents
from hooklane.delivery.attempt import named_lane
from hooklane.delivery.request import AttemptFacts, RefusedError, SetupError, build
from hooklane.ops.event_reading import Read
from hooklane.ops.log_reader import LogReader, Span
from hooklane.ops.log_search import FullRecord, searched
from hooklane.runtime.errors import TopicsError
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.records import DeliveryAttempt

_LONGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """A request. `own`: names of headers that the subscription adds, of which the values are not
    shown; `scheme`: how it is signed; `cut`: bytes of the body that are left out."""

    url: str
    lines: tuple[str, ...]
    own: tuple[str, ...]
    scheme: str | None
    body: bytes
    cut: int


def record_at(reader: LogReader, topic: str, partition: int, offset: int) -> FullRecord | None:
    """One record; None where Kafka has it no more, or there is none.

    Raises:
        TopicsError: there is no such topic.
    """
    if partition >= reader.count(topic):
        return None
    place = Partition(topic, partition)
    there = reader.whole([place])[place]
    if not there.first <= offset < there.end:
        return None
    found = searched(reader, {place: Span(offset, offset + 1)}, lambda _: True)
    return next(iter(list(found)), None)


def made_request(
    reader: LogReader, read: Read, attempt: DeliveryAttempt, entry: Entry | None
) -> Made | str:
    """The request, by the document that is in force now; else why it is not known."""
    if entry is None or entry.uid != attempt.uid:
        return "The subscription is another one by now, or deleted."
    if entry.subscription.payload.plugged is not None:
        return "Its body is made by a plugin, which is not asked again."
    event = _event(reader, read, attempt)
    if event is None:
        return "Its event is no more in its topic, or is not from there (a test event)."
    destination = Documents().of(entry.subscription).destination
    facts = AttemptFacts(
        attempt.webhook_id,
        attempt.sequence,
        attempt.attempt,
        attempt.run,
        attempt.started_ms // 1000,
        lane=named_lane(attempt.lane, attempt.key, entry.subscription),
    )
    try:
        request = build(event, facts, replace(destination, lines=()), None)
    except (SetupError, RefusedError) as error:
        return f"It cannot be made as the document asks: {error}."
    signing = entry.subscription.signing
    return Made(
        request.url,
        request.lines,
        tuple(entry.subscription.headers),
        None if signing is None else signing.scheme,
        request.body[:_LONGEST],
        max(0, len(request.body) - _LONGEST),
    )


def _event(reader: LogReader, read: Read, attempt: DeliveryAttempt) -> Event | None:
    try:
        line = record_at(reader, attempt.topic, attempt.partition, attempt.sequence)
        topic_id = reader.topic_id(attempt.topic)
    except TopicsError:
        return None
    if line is None or topic_id != attempt.topic_id:
        return None
    found = read(line.source(topic_id))
    if not isinstance(found, Event) or found.attributes["id"] != attempt.event_id:
        return None
    return found
