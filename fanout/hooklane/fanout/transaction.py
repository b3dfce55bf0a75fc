"""A share of a transaction as Kafka records, in the order in which they are written. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from hooklane.fanout.delivery import Delivery
from hooklane.fanout.redirect import Redirect, Share
from hooklane.schemas import topics
from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS, LANES, LEDGERS, TASKS, TICKETS
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.outgoing import Record, by_lane, disabled
from hooklane.schemas.records import DeliveryTask, LaneRecord, LedgerRecord
from hooklane.schemas.topics import TopicNames


@dataclass(frozen=True, slots=True)
class Layout:
    """Where records go: topic names, N, and the group whose lanes these are."""

    names: TopicNames
    partitions: int
    group: str


def records(share: Share, layout: Layout, at_ms: int) -> Iterator[Record]:
    """Everything of a share but its offset.

    Tombstones come first (rule 5: no later `blocked` of a lane goes before them), and what the
    backlog gets is in sequence order within each lane.
    """
    yield from _lane_records(share, layout, at_ms)
    for redirect in share.redirects:
        yield from _redirect(redirect, layout, at_ms)
    names = layout.names
    for letter in share.dead_letters:
        yield by_lane(
            names.dead_letters, letter.lane, DEAD_LETTERS.encode(letter), layout.partitions
        )
    for attempt in share.attempts:
        yield by_lane(names.attempts, attempt.lane, ATTEMPTS.encode(attempt), layout.partitions)
    for disabling in share.disablings:
        yield disabled(
            names.subscriptions,
            disabling.id,
            disabling.offset,
            disabling.reason,
            disabling.at_ms,
        )


def _lane_records(share: Share, layout: Layout, at_ms: int) -> Iterator[Record]:
    topic, partition = layout.names.lanes, share.place.partition % layout.partitions
    for lane in share.tombstones:
        yield Record(topic, partition, topics.blocked_key(lane), None)
        yield Record(topic, partition, topics.released_key(lane), None)
    for delivery in share.blocked:
        value = LANES.encode(_blocked(delivery, layout.group, at_ms))
        yield Record(topic, partition, topics.blocked_key(delivery.lane), value)
    if share.ledger is not None:
        place, state = share.place, share.ledger
        key = topics.ledger_key(layout.group, place.topic_id, place.partition)
        ledger = LedgerRecord(
            group=layout.group,
            topic=place.topic,
            topic_id=place.topic_id,
            partition=place.partition,
            offset=state.offset,
            settled=state.settled,
            partial=state.partial,
        )
        empty = not (state.settled or state.partial)
        yield Record(topic, partition, key, None if empty else LEDGERS.encode(ledger))


def _blocked(delivery: Delivery, group: str, at_ms: int) -> LaneRecord:
    return LaneRecord(
        sequence=delivery.sequence,
        group=group,
        topic=delivery.place.topic,
        topic_id=delivery.place.topic_id,
        partition=delivery.place.partition,
        subscription=delivery.subscription,
        uid=delivery.uid,
        key=delivery.event.key,
        at_ms=at_ms,
    )


def _redirect(redirect: Redirect, layout: Layout, at_ms: int) -> Iterator[Record]:
    delivery, names = redirect.delivery, layout.names
    task = DeliveryTask(
        lane=delivery.lane,
        sequence=delivery.sequence,
        webhook_id=delivery.webhook_id,
        subscription=delivery.subscription,
        uid=delivery.uid,
        run="",
        one_shot=delivery.one_shot,
        group=layout.group,
        event=delivery.event,
        config_offset=delivery.config_offset,
        attempts=redirect.attempts,
        due_ms=redirect.due_ms,
        halted=redirect.halted,
        redirected_ms=at_ms,
    )
    partition = lane_partition(delivery.lane, layout.partitions)
    key = topics.task_key(delivery.lane, delivery.sequence)
    yield Record(names.backlog, partition, key, TASKS.encode(task))
    if redirect.ticket is not None:
        value = TICKETS.encode(redirect.ticket.record)
        yield by_lane(names.retry(redirect.ticket.tier), delivery.lane, value, layout.partitions)
