"""What the retrier writes: topic, partition, key and a value that decodes, for each record."""

import json
from dataclasses import replace

import pytest

from hooklane.retrier.commands import (
    Attempt,
    WriteAttempt,
    WriteLetter,
    WriteRelease,
    WriteStatus,
    WriteTicket,
    WriteTombstone,
)
from hooklane.retrier.resolve import letter_for
from hooklane.retrier.spool import OwedRelease
from hooklane.retrier.standing import Standing
from hooklane.retrier.written import Layout, record_of
from hooklane.schemas.book_status import read_status
from hooklane.schemas.codec import ATTEMPTS, DEAD_LETTERS, LANES, TICKETS
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeadLetterReason, LaneRecord, RetryTicket
from hooklane.schemas.topics import TopicNames
from tests.support.fanout_facts import TIERS, entry
from tests.support.retrier_facts import FAILED, NOW_MS, attempt_record, lane_id, task, waiting

LAYOUT = Layout(TopicNames("p"), 12, 1 << 20)
TASK = task(5)
LANE = TASK.lane
N = lane_partition(LANE, 12)
WAITING = waiting(TASK, partition=N)


def value_of(record: Record) -> bytes:
    assert record.value is not None
    return record.value


def test_a_tombstone_meets_its_task() -> None:
    """Rule 9: the key and partition of the task's own record, without a value."""
    record = record_of(WriteTombstone(WAITING), LAYOUT, NOW_MS)
    assert record == Record("p.backlog", N, f"{LANE}:5".encode(), None)


@pytest.mark.parametrize("halted", [False, True])
def test_a_ticket(halted: bool) -> None:
    """Rule 10: lane to `RetryTicket`, in its tier, in the partition of the backlog."""
    standing = Standing(3, 2, 99, halted=halted)
    record = record_of(WriteTicket(WAITING, TIERS[1], standing), LAYOUT, NOW_MS)
    assert record[:3] == ("p.retry.30s", N, LANE.encode())
    assert TICKETS.decode(value_of(record)) == RetryTicket(LANE, 5, "s", 3, 2, 99, halted)


def test_a_dead_letter() -> None:
    """Section 2: lane to `DeadLetter`, in the lane's partition."""
    letter = letter_for(TASK, DeadLetterReason.EXHAUSTED, None, 3, NOW_MS)
    record = record_of(WriteLetter(WAITING, letter), LAYOUT, NOW_MS)
    assert record[:3] == ("p.dead-letters", N, LANE.encode())
    assert DEAD_LETTERS.decode(value_of(record)) == letter


def test_a_dead_letter_that_fits_no_record_refers_to_its_event() -> None:
    """Rule 3's likeness: a payload too large is left out, and the place of the event stays."""
    large = replace(TASK, event=replace(TASK.event, data=b"x" * 20_000))
    letter = letter_for(large, DeadLetterReason.EXHAUSTED, None, 3, NOW_MS)
    layout = Layout(LAYOUT.names, 12, 16_000)
    written = record_of(WriteLetter(WAITING, letter), layout, NOW_MS)
    assert len(value_of(written)) < 16_000
    found = DEAD_LETTERS.decode(value_of(written))
    assert (found.event, found.topic, found.partition, found.offset) == (None, "orders", 7, 5)


def test_an_attempt() -> None:
    """Section 2: lane to `DeliveryAttempt`, in the lane's partition."""
    done = attempt_record(Attempt(WAITING, TASK, entry(), 2), FAILED)
    record = record_of(WriteAttempt(done), LAYOUT, NOW_MS)
    assert record[:3] == ("p.attempts", N, LANE.encode())
    assert ATTEMPTS.decode(value_of(record)) == done


@pytest.mark.parametrize(("event_partition", "partition"), [(7, 7), (12, 0), (31, 7)])
def test_a_release_goes_to_the_owner_of_the_event_partition(
    event_partition: int, partition: int
) -> None:
    """Section 2: lane records are in partition `event partition mod N`, whatever the lane's own."""
    owed = OwedRelease(N, LANE, 5, "g", "orders", "T", event_partition, "s", "u", b"k")
    record = record_of(WriteRelease(owed), LAYOUT, NOW_MS)
    assert record[:3] == ("p.lanes", partition, f"released:{LANE}".encode())
    assert LANES.decode(value_of(record)) == LaneRecord(
        5, "g", "orders", "T", event_partition, "s", "u", b"k", NOW_MS
    )


def test_a_release_of_a_null_key() -> None:
    """A null key is not an empty key, also in the release."""
    owed = OwedRelease(N, lane_id("m"), 5, "g", "orders", "T", 0, "s", "u", None)
    record = record_of(WriteRelease(owed), LAYOUT, NOW_MS)
    assert LANES.decode(value_of(record)).key is None


def test_a_status_names_the_document_that_it_judged() -> None:
    """Section 5: the record `<id>/status`, which a newer document voids."""
    record = record_of(WriteStatus("s", 41, "the receiver answered 410", 1_500), LAYOUT, NOW_MS)
    assert record[:3] == ("p.subscriptions", 0, b"s/status")
    status = read_status(value_of(record))
    assert (status.state, status.judged_offset) == ("disabled", 41)
    assert status.reason == "the receiver answered 410"
    assert status.at.timestamp() == 1.5
    assert json.loads(value_of(record))["at"].startswith("1970-01-01T00:00:01.5")
