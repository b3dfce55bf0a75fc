"""How far the fan-out is: what its group has committed, and what its ledger says above that."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hooklane.ops.log_reader import LogReader
from hooklane.ops.log_search import searched
from hooklane.ops.trace_find import FoundEvent
from hooklane.ops.trace_way import Consumed
from hooklane.runtime.kafka_admin import Partition
from hooklane.schemas.book import Entry
from hooklane.schemas.codec import LEDGERS, CodecError
from hooklane.schemas.lane import subscriber_digest
from hooklane.schemas.records import LedgerRecord
from hooklane.schemas.topics import ledger_key


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one event partition."""

    group: str
    committed: int | None
    ledger: LedgerRecord | None

    def consumed(self, offset: int) -> Consumed:
        ahead = None
        if self.committed is not None:
            ahead = max(0, offset - self.committed)
        return Consumed(self.group, self.committed, self._settled(offset), ahead)

    def settled(self, offset: int, entry: Entry) -> bool:
        """Whether the event's delivery to this subscription is."""
        if self._settled(offset):
            return True
        digest = subscriber_digest(entry.id, entry.uid)
        partial = () if self.ledger is None else self.ledger.partial
        return any(one.offset == offset and digest in one.subscribers for one in partial)

    def _settled(self, offset: int) -> bool:
        if self.committed is not None and offset < self.committed:
            return True
        spans = () if self.ledger is None else self.ledger.settled
        return any(span.first <= offset <= span.last for span in spans)


class ProgressReader:
    """`lanes`: the topic that has the ledgers."""

    def __init__(self, reader: LogReader, group: str, lanes: str) -> None:
        self._reader = reader
        self._group = group
        self._lanes = lanes

    def of(self, events: Iterable[FoundEvent]) -> Mapping[Partition, Progress]:
        """How far the partitions of these events are."""
        ids = {event.place[0]: event.record.topic_id for event in events}
        committed = self._reader.committed(self._group, list(ids))
        return {
            place: Progress(self._group, committed[place], self._ledger(place, topic_id))
            for place, topic_id in ids.items()
        }

    def _ledger(self, place: Partition, topic_id: str) -> LedgerRecord | None:
        key = ledger_key(self._group, topic_id, place.number)
        home = Partition(self._lanes, place.number % self._reader.count(self._lanes))
        found: bytes | None = None
        spans = self._reader.whole([home])
        for record in searched(self._reader, spans, lambda message: message.key() == key):
            found = record.value
        if found is None:
            return None
        try:
            return LEDGERS.decode(found)
        except CodecError:
            return None
