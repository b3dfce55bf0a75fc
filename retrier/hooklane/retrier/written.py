"""What the decisions want written, as Kafka records. Pure."""

from dataclasses import dataclass
from typing import assert_never

from hooklane.retrier.commands import (
    WriteAttempt,
    WriteLetter,
    WriteRelease,
    WriteStatus,
    WriteTicket,
    WriteTombstone,
)
from hooklane.schemas import topics
from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS, LANES, TICKETS
from hooklane.schemas.letter import fitting
from hooklane.schemas.outgoing import Record, by_lane, disabled
from hooklane.schemas.records import LaneRecord, RetryTicket
from hooklane.schemas.topics import TopicNames

Write = WriteAttempt | WriteLetter | WriteRelease | WriteStatus | WriteTicket | WriteTombstone


@dataclass(frozen=True, slots=True)
class Layout:
    """Where records go: topic names, N, and the size that a dead letter may have (bytes)."""

    names: TopicNames
    partitions: int
    max_letter_bytes: int


def backlog_partition(write: Write) -> int | None:
    """The backlog partition that it is about; None where it is only told of."""
    match write:
        case WriteTombstone(waiting) | WriteTicket(waiting) | WriteLetter(waiting):
            return waiting.partition
        case WriteRelease(owed):
            return owed.partition
        case WriteAttempt() | WriteStatus():
            return None
        case _:
            assert_never(write)


def record_of(write: Write, layout: Layout, at_ms: int) -> Record:
    """The record that says it; `at_ms`: milliseconds since the epoch."""
    names = layout.names
    match write:
        case WriteTombstone(waiting):
            key = topics.task_key(waiting.lane, waiting.sequence)
            return Record(names.backlog, waiting.partition, key, None)
        case WriteAttempt(record):
            return by_lane(names.attempts, record.lane, ATTEMPTS.encode(record), layout.partitions)
        case WriteTicket():
            return _ticket(write, layout)
        case WriteLetter(_, letter):
            value = DEAD_LETTERS.encode(fitting(letter, layout.max_letter_bytes))
            return by_lane(names.dead_letters, letter.lane, value, layout.partitions)
        case WriteRelease():
            return _release(write, layout, at_ms)
        case WriteStatus():
            return disabled(
                names.subscriptions,
                write.subscription,
                write.offset,
                write.reason,
                write.at_ms,
            )
        case _:
            assert_never(write)


def _ticket(write: WriteTicket, layout: Layout) -> Record:
    waiting, standing = write.waiting, write.standing
    ticket = RetryTicket(
        lane=waiting.lane,
        sequence=waiting.sequence,
        subscription=waiting.subscription,
        attempts=standing.attempts,
        nudge=standing.nudge,
        due_ms=standing.due_ms,
        halted=standing.halted,
    )
    topic = layout.names.retry(write.tier)
    return Record(topic, waiting.partition, waiting.lane.encode(), TICKETS.encode(ticket))


def _release(write: WriteRelease, layout: Layout, at_ms: int) -> Record:
    owed = write.owed
    record = LaneRecord(
        sequence=owed.sequence,
        group=owed.group,
        topic=owed.topic,
        topic_id=owed.topic_id,
        partition=owed.event_partition,
        subscription=owed.subscription,
        uid=owed.uid,
        key=owed.key,
        at_ms=at_ms,
    )
    partition = owed.event_partition % layout.partitions
    key = topics.released_key(owed.lane)
    return Record(layout.names.lanes, partition, key, LANES.encode(record))
