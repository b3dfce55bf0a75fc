"""What becomes of deliveries that are not simply delivered."""

import json
import time

import pytest

from hooklane.schemas.codec import LANES
from hooklane.schemas.records import DeadLetterReason, LaneRecord
from tests.kafka.records import Outgoing, produce, read_topic, set_topic
from tests.support.site import Site
from tests.support.webhook_sink import Answer, WebhookSink


def test_an_exhausted_schedule_makes_a_dead_letter_and_the_lane_goes_on(
    site: Site, sink: WebhookSink
) -> None:
    """Rule 2: the dead letter has the last attempt and the payload, and blocks nobody."""
    sink.answer = lambda hit: Answer(500 if b'"n":0' in hit.body else 200)
    site.subscribe("a", sink.url("a"), retry={"schedule": []})
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k", "k"])
        sink.wait_for(lambda: len(sink.hits) == 2)
        assert fanout.terminate() == 0
    [letter] = site.dead_letters()
    assert (letter.reason, letter.subscription) == (DeadLetterReason.EXHAUSTED, "a")
    assert letter.last_attempt is not None
    assert (letter.last_attempt.status, letter.attempts) == (500, 1)
    assert letter.event is not None
    assert letter.event.data == b'{"n":0}'
    assert site.tasks() == {}


@pytest.mark.parametrize("answer", [Answer(500), Answer(400)])
def test_halt_leaves_a_halted_ticket(site: Site, sink: WebhookSink, answer: Answer) -> None:
    """Rule 2: exhausted or refused for good, the lane waits for an operator."""
    sink.answer = lambda hit: answer
    retry = {"schedule": [], "on_exhausted": "halt", "give_up_on": [400]}
    site.subscribe("a", sink.url("a"), retry=retry)
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k", "k"])
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 2)
    first, second = sorted(site.tasks().values(), key=lambda task: task.sequence)
    assert (first.halted, first.attempts, second.attempts) == (True, 1, 0)
    [ticket] = site.tickets("10h")
    assert (ticket.halted, ticket.sequence) == (True, first.sequence)
    assert site.dead_letters() == []


def test_gone_disables_the_subscription(site: Site, sink: WebhookSink) -> None:
    """Section 5: a 410 is written down beside the document; what comes goes to dead letters."""
    sink.answer = lambda hit: Answer(410 if hit.path == "/gone" else 200)
    site.subscribe("a", sink.url("gone"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["x"])
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 1)
        site.publish_numbers(["x", "y", "z"])
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 4)
        site.subscribe("a", sink.url("new"))
        # The service reads the new document when it does; until then events are dead letters.
        fanout.wait_for(lambda: publish_until(site, sink, "new"))
    assert len(sink.of("gone")) == 1
    assert {letter.reason for letter in site.dead_letters()} == {DeadLetterReason.DISABLED}
    status = [r for r in read_topic(site.kafka, site.names.subscriptions) if r.key == b"a/status"]
    assert json.loads(status[0].value or b"")["judged_offset"] == 0


def publish_until(site: Site, sink: WebhookSink, path: str) -> bool:
    """Publish another event; whether one has come by now."""
    site.publish_numbers(["x"])
    return len(sink.of(path)) >= 1


def test_paused_waits_disabled_and_deleted_are_discarded(site: Site, sink: WebhookSink) -> None:
    """Section 6: paused goes into the backlog unattempted; disabled goes nowhere."""
    site.subscribe("paused", sink.url("paused"), state="paused")
    site.subscribe("disabled", sink.url("disabled"), state="disabled")
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["x", "x"])
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 2)
        assert fanout.terminate() == 0
    assert sink.hits == []
    assert [task.attempts for task in site.tasks().values()] == [0, 0]
    assert {task.subscription for task in site.tasks().values()} == {"paused"}
    assert site.dead_letters() == []


def test_a_release_opens_the_lane_and_is_answered_by_tombstones(
    site: Site, sink: WebhookSink
) -> None:
    """Rule 5: what comes after the release is attempted here again, in order."""
    failing = True
    sink.answer = lambda hit: Answer(500 if failing else 200)
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"])
        fanout.wait_for(lambda: fanout.metric("hooklane_redirects_total") == 1)
        [(_, blocked)] = site.lane_records("blocked").items()
        [task] = site.tasks().values()
        failing = False
        release(site, task.lane, blocked)
        fanout.wait_for(lambda: fanout.metric("hooklane_lanes_blocked") == 0)
        site.publish_numbers(["k"], first=1)
        sink.wait_for(lambda: len(sink.hits) == 2)
        assert fanout.terminate() == 0
    assert site.lane_records("blocked") == {}
    assert site.lane_records("released") == {}


def release(site: Site, lane: str, record: LaneRecord) -> None:
    """What the retrier writes when a lane is empty."""
    place = record.partition % 4
    value = LANES.encode(record)
    produce(
        site.kafka,
        site.names.lanes,
        [Outgoing(f"released:{lane}".encode(), value, partition=place)],
    )


def test_what_is_too_large_for_the_backlog_becomes_a_reference(
    site: Site, sink: WebhookSink
) -> None:
    """Rule 3: an event that no backlog record can hold is not lost when it cannot be delivered."""
    sink.answer = lambda hit: Answer(500 if hit.key == "large" else 200)
    site.subscribe("a", sink.url("a"))
    body = json.dumps({"x": "y" * 2_500_000}).encode()
    with site.fanout() as fanout:
        fanout.wait_ready()
        set_topic(site.kafka, site.events, "max.message.bytes", "3000000")
        [(partition, offset)] = site.publish([Outgoing(b"large", body)])
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 1)
        site.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 2)
        assert fanout.terminate() == 0
    [letter] = site.dead_letters()
    assert (letter.reason, letter.event) == (DeadLetterReason.TOO_LARGE, None)
    assert (letter.topic, letter.partition, letter.offset) == (site.events, partition, offset)
    assert site.tasks() == {}


@pytest.mark.parametrize(
    ("record", "word"),
    [
        (Outgoing(b"k", b"{", headers=[("content-type", b"application/cloudevents+json")]), "JSON"),
        (
            Outgoing(
                b"k", b"[]", headers=[("content-type", b"application/cloudevents-batch+json")]
            ),
            "batch",
        ),
    ],
)
def test_what_cannot_be_read_is_in_the_dead_letters_with_a_reason(
    site: Site, sink: WebhookSink, record: Outgoing, word: str
) -> None:
    """Section 4: rubbish in the event topic stops nothing, and is kept as it was."""
    site.subscribe("a", sink.url("a"))
    with site.fanout() as fanout:
        fanout.wait_ready()
        [(partition, offset)] = site.publish([record])
        site.publish_numbers(["k"])
        sink.wait_for(lambda: len(sink.hits) == 1)
        fanout.wait_for(lambda: fanout.metric("hooklane_dead_letters_total") == 1)
        assert fanout.terminate() == 0
    [letter] = site.dead_letters()
    assert (letter.reason, letter.subscription) == (DeadLetterReason.UNREADABLE, None)
    assert word in letter.detail
    assert (letter.topic, letter.partition, letter.offset) == (site.events, partition, offset)
    assert letter.value == record.value


def test_rubbish_in_the_config_topic_stops_nothing(site: Site, sink: WebhookSink) -> None:
    """Section 6: bad documents are counted; the last good version of each stays in force."""
    site.subscribe("good", sink.url("good"))
    for value in (b"{", b"[]", b'{"id": "good", "url": "ftp://x"}', b"\xff", b"[" * 5000):
        site.configure(b"good", value)
    site.configure(b"another", b"null")
    site.configure(b"\xff\xfe", b"{}")
    with site.fanout() as fanout:
        fanout.wait_ready()
        site.publish_numbers(["k"], first=0)
        sink.wait_for(lambda: len(sink.hits) == 1)
        site.configure(b"good", b"nonsense")
        fanout.wait_for(lambda: fanout.log().count("bad subscription document") == 4)
        site.publish_numbers(["k"], first=1)
        sink.wait_for(lambda: len(sink.hits) == 2)
        assert fanout.metric("hooklane_bad_subscriptions") == 3


def test_events_before_effective_from_do_not_match(site: Site, sink: WebhookSink) -> None:
    """Section 6: a subscription does not get the past."""
    now_ms = int(time.time() * 1000)
    site.subscribe("a", sink.url("a"), effective_from="2026-01-01T00:00:00Z")
    with site.fanout() as fanout:
        fanout.wait_ready()
        before = Outgoing(b"k", b'{"n":0}', timestamp_ms=1_700_000_000_000)
        site.publish([before, Outgoing(b"k", b'{"n":1}', timestamp_ms=now_ms)])
        sink.wait_for(lambda: len(sink.hits) == 1)
    assert [hit.body for hit in sink.hits] == [b'{"n":1}']
