"""From consumed records to deliveries: decode, match, admit."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, assert_never

import structlog

from hooklane.fanout.delivery import Delivery
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.process import Process
from hooklane.fanout.reading import JSON_ALONE, Reading
from hooklane.fanout.rules import Rules
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed
from hooklane.runtime.log_quota import LogQuota
from hooklane.runtime.metrics import EventOutcome
from hooklane.schemas.book import Entry
from hooklane.schemas.decode import decode
from hooklane.schemas.event import Event, NeedsSchema, SourceRecord, Unreadable
from hooklane.schemas.lane import unreadable_lane
from hooklane.schemas.records import DeadLetter, DeadLetterReason, Header

log = structlog.get_logger(__name__)


class Subscriptions(Protocol):
    """Finds who wants an event."""

    def match(self, event: Event) -> Iterable[Entry]: ...


def _needs_none(schema_id: int, partition: EventPartition) -> None:
    """Without a registry nothing needs a schema of one."""


class Intake:
    """`admitted` gets the deliveries of each batch; `gap` is told of offsets that are missing,
    `needs` of a partition that waits for the registry's schema of an id."""

    def __init__(
        self,
        process: Process,
        subscriptions: Subscriptions,
        rules: Rules,
        admitted: Callable[[Sequence[Delivery], Sequence[EventPartition]], None],
        gap: Callable[[EventPartition, int, int], None],
        reading: Reading = JSON_ALONE,
        needs: Callable[[int, EventPartition], None] = _needs_none,
    ) -> None:
        self._group = process.group
        self._owned = process.owned
        self._clock = process.clock
        self._metrics = process.metrics
        self._tracing = process.tracing
        self._subscriptions = subscriptions
        self._rules = rules
        self._admitted = admitted
        self._gap = gap
        self._reader = reading.reader
        self._judge = reading.judge
        self._needs = needs
        self._quota = LogQuota()

    def take(self, batch: Sequence[Consumed]) -> None:
        """Records in the order of Kafka; those of partitions that are not ours are left."""
        deliveries: list[Delivery] = []
        touched: dict[int, EventPartition] = {}
        if self._tracing is not None:
            self._tracing.received()
        for consumed in batch:
            partition = self._owned.named(Assigned(consumed.topic, consumed.partition))
            if partition is None:
                continue
            if partition.held is not None:
                partition.held.append(consumed)
            elif self._is_next(partition, consumed.offset):
                deliveries += self._take_one(partition, consumed)
                touched[id(partition)] = partition
        # An offset that went back has dropped everything, also what came before it.
        ours = [one for one in touched.values() if self._owned.holds(one)]
        places = {one.place for one in ours}
        self._admitted([one for one in deliveries if one.place in places], ours)

    def again(self, partition: EventPartition) -> None:
        """What the partition has held is taken now: the schema that it waited for is known."""
        held, partition.held = partition.held, None
        self.take(held or ())

    def _is_next(self, partition: EventPartition, offset: int) -> bool:
        """Whether it comes after what was admitted. Offsets may be missing, never go back."""
        expected = partition.ledger.position
        if offset != expected:
            self._gap(partition, expected, offset)
        return offset >= expected

    def _take_one(self, partition: EventPartition, consumed: Consumed) -> list[Delivery]:
        if partition.ledger.is_settled(consumed.offset):
            partition.pass_over(consumed.offset)
            return []
        record = _source(consumed, partition.place.topic_id)
        decoded = decode(record, self._reader)
        match decoded:
            case Event():
                return self._match(partition, decoded, record)
            case Unreadable():
                return self._give_up(partition, record, decoded)
            case NeedsSchema():
                partition.held = [consumed]
                self._needs(decoded.schema_id, partition)
                return []
            case _:
                assert_never(decoded)

    def _match(
        self, partition: EventPartition, event: Event, record: SourceRecord
    ) -> list[Delivery]:
        if self._judge is not None:
            refusal = self._judge.refusal(event)
            if refusal is not None:
                return self._give_up(partition, record, refusal)
        entries = self._subscriptions.match(event)
        if event.is_encoded:
            if entries:
                event.become_json()
            if event.unreadable is not None:
                return self._give_up(partition, record, event.unreadable)
        deliveries = partition.admit(event, entries, self._clock.monotonic())
        outcome = EventOutcome.MATCHED if deliveries else EventOutcome.UNMATCHED
        self._metrics.events[outcome].inc()
        if self._tracing is not None and deliveries:
            self._tracing.matched(event, [one.subscription for one in deliveries])
        return deliveries

    def _give_up(
        self, partition: EventPartition, record: SourceRecord, unreadable: Unreadable
    ) -> list[Delivery]:
        self._metrics.events[EventOutcome.UNREADABLE].inc()
        partition.draft.unreadable(self._letter(record, unreadable))
        partition.pass_over(record.offset)
        return []

    def _letter(self, record: SourceRecord, unreadable: Unreadable) -> DeadLetter:
        place = (record.topic_id, record.partition, record.offset)
        letter = DeadLetter(
            lane=unreadable_lane(self._group, *place),
            sequence=record.offset,
            webhook_id=None,
            subscription=None,
            uid="",
            run="",
            group=self._group,
            reason=DeadLetterReason.UNREADABLE,
            detail=unreadable.reason,
            at_ms=self._clock.wall_ms(),
            attempts=0,
            last_attempt=None,
            topic=record.topic,
            topic_id=record.topic_id,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            event=None,
            value=record.value,
            headers=tuple(Header(name, value) for name, value in record.headers),
        )
        unlogged = self._quota.take("event.unreadable", record.topic, self._clock.monotonic())
        if unlogged is not None:
            log.warning(
                "event.unreadable",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=unreadable.reason,
                **({"unlogged": unlogged} if unlogged else {}),
            )
        return self._rules.fitting(letter)


def _source(consumed: Consumed, topic_id: str) -> SourceRecord:
    return SourceRecord(
        topic=consumed.topic,
        topic_id=topic_id,
        partition=consumed.partition,
        offset=consumed.offset,
        timestamp_ms=consumed.timestamp_ms,
        key=consumed.key,
        value=consumed.value,
        headers=tuple(consumed.headers),
    )
