"""The intake: from consumed records to deliveries, and what becomes of records that are none."""

from collections.abc import Iterable, Sequence

import pytest

from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.intake import Intake
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import LedgerState
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.redirect import Share
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed
from hooklane.schemas.book import Entry
from hooklane.schemas.event import Event
from hooklane.schemas.lane import subscriber_digest, unreadable_lane
from hooklane.schemas.records import DeadLetter, DeadLetterReason, Header, Partial, Span
from tests.support.fanout_facts import (
    PLACE,
    Book,
    HandClock,
    counted,
    entry,
    partition,
    process,
    rules,
)

LIMIT = 100_000
BROKEN = [("content-type", b"application/cloudevents+json")]


def record(
    offset: int,
    number: int = 0,
    value: bytes | None = b"{}",
    key: bytes | None = b"k",
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> Consumed:
    return Consumed("orders", number, offset, 1_000 + offset, key, value, list(headers))


class Seen(Book):
    """Every event matches all subscriptions; remembers which were asked for."""

    def __init__(self, *entries: Entry) -> None:
        super().__init__(*entries)
        self.events: list[Event] = []

    def match(self, event: Event) -> list[Entry]:
        self.events.append(event)
        return super().match(event)


class Stage:
    def __init__(self, *partitions: EventPartition, entries: Iterable[Entry] = ()) -> None:
        self.clock = HandClock()
        self.process = process(self.clock)
        for one in partitions:
            self.process.owned.add(one)
        self.subscriptions = Seen(*(list(entries) or [entry("a")]))
        self.batches: list[tuple[list[Delivery], list[EventPartition]]] = []
        self.gaps: list[tuple[int, int, int]] = []
        self.intake = Intake(
            self.process,
            self.subscriptions,
            rules(max_letter_bytes=LIMIT),
            lambda found, touched: self.batches.append((list(found), list(touched))),
            self._gap,
        )

    def _gap(self, of: EventPartition, expected: int, offset: int) -> None:
        self.gaps.append((of.place.partition, expected, offset))

    def take(self, *batch: Consumed) -> list[tuple[int, int, str]]:
        """(partition, offset, subscription) of each delivery that this batch brought."""
        self.intake.take(batch)
        found, _ = self.batches[-1]
        return [(one.place.partition, one.sequence, one.subscription) for one in found]

    def events(self, outcome: str) -> float:
        return counted(self.process.metrics, "events_total", outcome=outcome)


def share_of(one: EventPartition) -> Share:
    found = one.draft.take(100)
    assert found is not None
    return found


def letter_of(one: EventPartition) -> DeadLetter:
    (letter,) = share_of(one).dead_letters
    return letter


def test_records_become_deliveries_in_the_order_of_kafka() -> None:
    """Promise of order: as they were consumed, partition by partition, one for each match."""
    stage = Stage(partition(0), partition(1), entries=[entry("a"), entry("b")])
    found = stage.take(record(0), record(0, 1), record(1))
    assert found == [
        (0, 0, "a"),
        (0, 0, "b"),
        (1, 0, "a"),
        (1, 0, "b"),
        (0, 1, "a"),
        (0, 1, "b"),
    ]
    assert [one.place.partition for one in stage.batches[0][1]] == [0, 1]
    assert stage.events("matched") == 3
    assert {one.admitted for one in stage.batches[0][0]} == {stage.clock.now}
    assert stage.batches[0][0][0].event.topic_id == "T"


def test_records_of_partitions_that_are_not_ours_are_left() -> None:
    """Rule 6: what still comes of a partition that was let go is the next owner's."""
    stage = Stage(partition(0))
    assert stage.take(record(0, 1), record(0)) == [(0, 0, "a")]
    assert stage.gaps == []


def test_a_tracer_hears_of_what_is_delivered() -> None:
    """Of each batch, and of each event that somebody wants, with who that is."""
    stage = Stage(partition(0), entries=[entry("a"), entry("b")])
    heard: list[object] = []

    class Heard:
        def received(self) -> None:
            heard.append("batch")

        def matched(self, event: Event, subscriptions: Sequence[str]) -> None:
            heard.append((event.offset, list(subscriptions)))

    stage.intake._tracing = Heard()
    stage.take(record(0), record(1))
    stage.subscriptions.entries.clear()
    stage.take(record(2))
    assert heard == ["batch", (0, ["a", "b"]), (1, ["a", "b"]), "batch"]


def test_an_event_without_a_match_is_settled() -> None:
    """Rule 4: it holds no offset up."""
    one = partition()
    stage = Stage(one)
    stage.subscriptions.entries.clear()
    assert stage.take(record(0)) == []
    assert (one.ledger.committable, stage.events("unmatched")) == (1, 1)
    assert stage.batches[-1][1] == [one]


def test_settled_events_are_passed_over() -> None:
    """Rule 4: what an earlier owner settled is neither matched nor delivered again."""
    inherited = LedgerState(0, settled=(Span(1, 2),))
    one = EventPartition(PLACE, "g", inherited, LaneTable())
    stage = Stage(one)
    assert stage.take(*map(record, range(4))) == [(0, 0, "a"), (0, 3, "a")]
    assert [seen.offset for seen in stage.subscriptions.events] == [0, 3]
    assert one.ledger.state().settled == (Span(1, 2),)
    assert stage.events("matched") == 2


def test_settled_records_that_cannot_be_read_are_no_dead_letters_again() -> None:
    """Rule 4: the ledger says that this record was dealt with."""
    one = EventPartition(PLACE, "g", LedgerState(0, settled=(Span(0, 0),)), LaneTable())
    stage = Stage(one)
    stage.take(record(0, value=b"{", headers=BROKEN))
    assert share_of(one).dead_letters == ()
    assert stage.events("unreadable") == 0


def test_partly_settled_events_only_for_the_rest() -> None:
    """Rule 4: by delivery and not by event, or a subscriber would get it twice."""
    partial = Partial(1, (subscriber_digest("a", "u"),))
    one = EventPartition(PLACE, "g", LedgerState(0, partial=(partial,)), LaneTable())
    stage = Stage(one, entries=[entry("a"), entry("b")])
    found = stage.take(record(0), record(1))
    assert found == [(0, 0, "a"), (0, 0, "b"), (0, 1, "b")]


def test_an_unreadable_record_is_a_dead_letter_and_stops_nothing() -> None:
    """Section 4: with its bytes, headers and reason, without a subscription; it is settled."""
    one = partition()
    stage = Stage(one)
    headers = [*BROKEN, ("x", None)]
    found = stage.take(record(0, value=b"{", headers=headers), record(1))
    assert found == [(0, 1, "a")]
    share = share_of(one)
    (letter,) = share.dead_letters
    assert (share.offset, stage.gaps) == (1, [])
    assert letter.detail
    assert letter == DeadLetter(
        lane=unreadable_lane("g", "T", 0, 0),
        sequence=0,
        webhook_id=None,
        subscription=None,
        uid="",
        run="",
        group="g",
        reason=DeadLetterReason.UNREADABLE,
        detail=letter.detail,
        at_ms=stage.clock.wall,
        attempts=0,
        last_attempt=None,
        topic="orders",
        topic_id="T",
        partition=0,
        offset=0,
        timestamp_ms=1_000,
        key=b"k",
        event=None,
        value=b"{",
        headers=(Header(*headers[0]), Header("x", None)),
    )
    assert stage.events("unreadable") == 1


def test_an_unreadable_record_too_large_for_a_letter_is_a_reference() -> None:
    """Faults, bad input 38: its place in Kafka says where it is."""
    one = partition()
    Stage(one).take(record(0, value=b"{" * LIMIT, headers=BROKEN))
    letter = letter_of(one)
    assert (letter.value, letter.headers, letter.offset) == (None, (), 0)


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"not json", b"NaN", b"[" * 100_000])
def test_any_bytes_are_an_event(value: bytes | None) -> None:
    """Section 4: anything that claims nothing is taken as it is."""
    stage = Stage(partition())
    assert stage.take(record(0, value=value, key=None)) == [(0, 0, "a")]


def test_offsets_that_are_missing_are_told_and_passed() -> None:
    """Compaction and transactions leave gaps, so the event after one is taken; somebody looks
    whether retention took what is missing."""
    one = partition()
    stage = Stage(one)
    assert stage.take(record(0), record(5), record(6)) == [(0, 0, "a"), (0, 5, "a"), (0, 6, "a")]
    assert stage.gaps == [(0, 1, 5)]


def test_offsets_that_go_back_are_told_and_not_taken() -> None:
    """An offset that was admitted means another event now: nothing of it is certain."""
    one = partition(offset=7)
    stage = Stage(one)
    assert stage.take(record(6)) == []
    assert stage.gaps == [(0, 7, 6)]
    assert one.ledger.position == 7


def test_each_batch_is_told_once() -> None:
    """Who works on the deliveries takes a step a batch and not one a record."""
    one = partition()
    stage = Stage(one)
    stage.intake.take([record(offset) for offset in range(50)])
    ((found, touched),) = stage.batches
    assert (len(found), touched) == (50, [one])


def test_partitions_of_two_topics_are_not_confused() -> None:
    """The same partition number of another topic is another partition."""
    other = EventPartition(Place("bills", "B", 0), "g", LedgerState(0), LaneTable())
    stage = Stage(partition(0), other)
    stage.intake.take([record(0)._replace(topic="bills"), record(0)])
    assert [one.place.topic for one in stage.batches[0][0]] == ["bills", "orders"]
    assert stage.process.owned.named(Assigned("bills", 0)) is other
