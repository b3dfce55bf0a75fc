"""Which past events a replay delivers, into which lanes, and why others are passed over."""

from dataclasses import replace

import pytest

from hooklane.ops.log_selection import Window
from hooklane.ops.replay_plan import Passed, Replay, ReplayCount, ReplaySelection
from hooklane.schemas.book import Entry, SubscriptionBook
from hooklane.schemas.event import SourceRecord
from hooklane.schemas.lane import LaneNamer
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.subscription_values import ServicePolicy

RUN = "01KB0000000000000000000000"
NOW_MS = 1_790_000_000_000
TOPIC_ID = "ab" * 16
PAID = ("event-type", b"order.paid")
SELECTION = ReplaySelection(
    "billing",
    "u",
    "orders",
    TOPIC_ID,
    Window(1_000, 2_000),
    None,
    before_subscription=False,
    new_ids=False,
)


def an_entry(fields: str = "") -> Entry:
    book = SubscriptionBook(ServicePolicy())
    match = '"match":{"types":["order.*"]}'
    document = f'{{"id":"billing","url":"https://x.example/","uid":"u",{match}{fields}}}'
    book.read(3, b"billing", document.encode())
    entry = book.entry("billing")
    assert entry is not None
    return entry


def a_record(**facts: object) -> SourceRecord:
    record = SourceRecord("orders", TOPIC_ID, 2, 41, 1_500, b"c-1", b'{"n":1}', (PAID,))
    return record._replace(**facts)  # type: ignore[arg-type]


def judged(
    record: SourceRecord, selection: ReplaySelection = SELECTION, fields: str = ""
) -> DeliveryTask | Passed:
    return Replay(RUN, an_entry(fields), "g", selection).judge(record, NOW_MS)


def test_a_past_event_goes_into_the_lane_of_its_key_in_this_run() -> None:
    """Rule 12: the run's own lane, the webhook id that it had, never attempted, due at once."""
    task = judged(a_record())
    assert isinstance(task, DeliveryTask)
    namer = LaneNamer("g", "billing", "u", TOPIC_ID, 2, run=RUN)
    assert task.lane == namer.lane(b"c-1")
    assert task.lane != LaneNamer("g", "billing", "u", TOPIC_ID, 2).lane(b"c-1")
    assert task.webhook_id == LaneNamer("g", "billing", "u", TOPIC_ID, 2).webhook_id(41)
    assert (task.run, task.sequence, task.config_offset, task.one_shot) == (RUN, 41, 3, False)
    assert (task.attempts, task.due_ms, task.redirected_ms) == (0, NOW_MS, NOW_MS)
    assert task.event.attributes["type"] == "order.paid"


@pytest.mark.parametrize(
    ("record", "fields"), [(a_record(key=None), ""), (a_record(), ',"ordering":"none"')]
)
def test_without_an_order_each_event_is_a_lane(record: SourceRecord, fields: str) -> None:
    """A null key, or a document that asks for no order."""
    task = judged(record, fields=fields)
    assert isinstance(task, DeliveryTask)
    namer = LaneNamer("g", "billing", "u", TOPIC_ID, 2, run=RUN)
    assert (task.one_shot, task.lane) == (True, namer.one_shot(record.key, 41))


@pytest.mark.parametrize(
    ("record", "passed"),
    [
        (a_record(timestamp_ms=999), Passed.OTHER),
        (a_record(timestamp_ms=2_000), Passed.OTHER),
        (a_record(headers=()), Passed.UNMATCHED),
        (
            a_record(value=b"{", headers=(("content-type", b"application/cloudevents+json"),)),
            Passed.UNREADABLE,
        ),
    ],
)
def test_what_is_passed_over(record: SourceRecord, passed: Passed) -> None:
    """Another time, an event that the document of today does not want, a record that is none."""
    assert judged(record) is passed


def test_only_the_key_that_is_asked_for() -> None:
    """Byte by byte, before anything is decoded."""
    selection = replace(SELECTION, keys=frozenset({b"c-2"}))
    assert judged(a_record(), selection) is Passed.OTHER
    assert isinstance(judged(a_record(key=b"c-2"), selection), DeliveryTask)


def test_events_from_before_the_subscription_are_for_who_asks() -> None:
    """effective_from holds for a replay too, and is told apart from what does not match."""
    made = ',"effective_from":"1970-01-01T00:00:01.800Z"'
    assert judged(a_record(), fields=made) is Passed.BEFORE
    assert judged(a_record(headers=()), fields=made) is Passed.UNMATCHED
    asked = replace(SELECTION, before_subscription=True)
    assert isinstance(judged(a_record(), asked, fields=made), DeliveryTask)
    assert isinstance(judged(a_record(timestamp_ms=1_900), fields=made), DeliveryTask)


def test_new_ids_are_the_runs() -> None:
    """For a receiver that drops webhook-ids that it knows."""
    tasks = [judged(a_record(), replace(SELECTION, new_ids=new)) for new in (False, True, True)]
    ids = [task.webhook_id for task in tasks if isinstance(task, DeliveryTask)]
    assert ids[1] == ids[2] != ids[0]


def test_a_selection_comes_back_from_the_audit() -> None:
    """What a run was begun with is what it goes on with."""
    told = {
        "subscription": "billing", "uid": "u", "topic": "orders", "topic_id": TOPIC_ID,
        "since": "2h", "since_ms": "1000", "until_ms": "2000", "key": "hex:ff", "new_ids": "yes",
    }  # fmt: skip
    found = ReplaySelection.of(told)
    assert found == replace(SELECTION, keys=frozenset({b"hex:ff", b"\xff"}), new_ids=True)


def test_what_is_counted() -> None:
    """Every event once, and why it was passed over."""
    counted = ReplayCount()
    for record in (a_record(), a_record(headers=()), a_record(timestamp_ms=1)):
        counted.add(judged(record))
    assert (counted.events, counted.matched) == (3, 1)
    assert counted.passed == {Passed.UNMATCHED: 1, Passed.OTHER: 1}
