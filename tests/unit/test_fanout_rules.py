"""From an attempt's outcome to what follows it, by the documents and the topics' limits."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hooklane.delivery.attempt import Attempted
from hooklane.delivery.outcome import Outcome
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.redirect import Disabling, Redirect, Ticket
from hooklane.fanout.settle import Ended
from hooklane.fanout.transaction import Layout, records
from hooklane.schemas.codec import DEAD_LETTERS
from hooklane.schemas.event import Event
from hooklane.schemas.letter import event_bytes
from hooklane.schemas.records import AttemptOutcome, DeadLetter, DeadLetterReason, RetryTicket
from hooklane.schemas.topics import Delay, TopicNames
from tests.support.fanout_facts import (
    ACCEPTED,
    BLOCKED,
    BROKEN,
    GONE,
    TIERS,
    attempt_record,
    delivery,
    entry,
    event,
    partition,
    rules,
)

NOW_MS = 1_000_000
SHORT, LONG = TIERS
PATIENT = replace(BROKEN, status=429, retry_after_s=20.5)


Retry = dict[str, object]
HALT: Retry = {"on_exhausted": "halt"}


def ended(
    outcome: Outcome, attempt: int = 1, of: Delivery | None = None, retry: Retry | None = None
) -> Ended:
    one = of or delivery(5)
    record = replace(attempt_record(one, outcome.kind, attempt), detail=outcome.detail)
    document = entry(offset=3, retry=retry or {})
    return rules().ended(one, document, Attempted(outcome, record), NOW_MS)


def test_delivered_is_settled_and_nothing_else() -> None:
    """Rule 2: delivered is settled, with the attempt's record as it is."""
    record = attempt_record(delivery(5), AttemptOutcome.DELIVERED)
    assert ended(ACCEPTED) == Ended(replace(record, detail=ACCEPTED.detail))


@pytest.mark.parametrize(
    ("outcome", "retry", "tier", "due_ms"),
    [
        pytest.param(BROKEN, {}, SHORT, NOW_MS + 5_000, id="the service's tiers"),
        pytest.param(BROKEN, {"schedule": ["30s"]}, LONG, NOW_MS + 30_000, id="its schedule"),
        pytest.param(PATIENT, {}, SHORT, NOW_MS + 20_500, id="Retry-After beyond the tier"),
        pytest.param(
            PATIENT, {"schedule": ["30s"]}, LONG, NOW_MS + 30_000, id="Retry-After within it"
        ),
        pytest.param(BROKEN, HALT, SHORT, NOW_MS + 5_000, id="halt only at the end"),
    ],
)
def test_a_failure_comes_again(outcome: Outcome, retry: Retry, tier: Delay, due_ms: int) -> None:
    """Rule 3: redirected with a ticket in the first tier of its schedule, never before
    `Retry-After`, and the attempt's record says when."""
    one = delivery(5)
    found = ended(outcome, of=one, retry=retry)
    ticket = RetryTicket(one.lane, 5, "s", 1, 0, due_ms, halted=False)
    assert found.redirect == Redirect(one, 1, due_ms, ticket=Ticket(tier, ticket))
    assert (found.record.next_ms, found.letter, found.disabling) == (due_ms, None, None)


@pytest.mark.parametrize(
    ("outcome", "attempt", "retry", "reason"),
    [
        pytest.param(BROKEN, 3, {}, DeadLetterReason.EXHAUSTED, id="the schedule is used up"),
        pytest.param(PATIENT, 3, {}, DeadLetterReason.EXHAUSTED, id="also with Retry-After"),
        pytest.param(
            BROKEN, 1, {"schedule": []}, DeadLetterReason.EXHAUSTED, id="an empty schedule"
        ),
        pytest.param(BLOCKED, 1, {}, DeadLetterReason.REFUSED, id="a blocked address"),
        pytest.param(GONE, 1, {}, DeadLetterReason.DISABLED, id="a 410"),
        pytest.param(GONE, 1, HALT, DeadLetterReason.DISABLED, id="a 410 does not halt"),
    ],
)
def test_what_is_given_up_is_a_dead_letter(
    outcome: Outcome, attempt: int, retry: Retry, reason: DeadLetterReason
) -> None:
    """Rule 2: with the reason, the event and the last attempt, and no retry."""
    found = ended(outcome, attempt, retry=retry)
    assert found.redirect is None
    assert found.letter is not None
    assert (found.letter.reason, found.letter.detail) == (reason, outcome.detail)
    assert (found.letter.attempts, found.letter.last_attempt) == (attempt, found.record)
    assert (found.letter.event, found.letter.at_ms) == (event(5), NOW_MS)
    assert (found.letter.group, found.letter.sequence) == ("g", 5)
    assert found.record.next_ms is None


@pytest.mark.parametrize(("outcome", "attempt"), [(BROKEN, 3), (BLOCKED, 1)])
def test_with_halt_it_stays_first_of_its_lane(outcome: Outcome, attempt: int) -> None:
    """Rule 2: redirected with a halted ticket, in the tier that keeps it longest."""
    one = delivery(5)
    found = ended(outcome, attempt, of=one, retry=HALT)
    ticket = RetryTicket(one.lane, 5, "s", attempt, 0, NOW_MS, halted=True)
    assert found.redirect == Redirect(
        one, attempt, NOW_MS, halted=True, ticket=Ticket(LONG, ticket)
    )
    assert found.letter is None


def test_a_410_disables_the_document_that_was_attempted() -> None:
    """Section 5: the status record names the offset of the document that it judged."""
    assert ended(GONE).disabling == Disabling("s", 3, GONE.detail, NOW_MS)
    assert [ended(one).disabling for one in (ACCEPTED, BROKEN, BLOCKED)] == [None] * 3


def test_a_delivery_given_up_without_an_attempt() -> None:
    """What comes after a 410 has its event in the dead letters and no attempt."""
    letter = rules().letter(delivery(5), DeadLetterReason.DISABLED, NOW_MS)
    assert (letter.attempts, letter.last_attempt, letter.detail) == (0, None, "")
    assert letter.event == event(5)


def test_too_large_for_the_backlog_is_a_reference() -> None:
    """Rule 3: topic, partition and offset instead of the payload, whatever would fit."""
    letter = rules().letter(delivery(5), DeadLetterReason.TOO_LARGE, NOW_MS)
    assert letter.event is None
    assert (letter.topic, letter.topic_id, letter.partition, letter.offset) == ("orders", "T", 0, 5)


def test_a_payload_too_large_for_the_dead_letters_is_left_out_of_an_attempts_letter() -> None:
    """Faults, bad input 38: the delivery is still dead-lettered, with a reference."""
    large = replace_event(delivery(5), event(5, data=bytes(100_000)))
    record = attempt_record(large, AttemptOutcome.REFUSED)
    by = rules(max_letter_bytes=100_000)
    found = by.ended(large, entry(), Attempted(BLOCKED, record), NOW_MS)
    assert found.letter is not None
    assert found.letter.event is None
    assert by.letter(large, DeadLetterReason.DISABLED, NOW_MS).event is None


# Sizes. A record that turned out too large when it is written would be a transaction that fails
# again and again.

_words = st.text(st.characters(min_codepoint=32, max_codepoint=0x10FFFF, codec="utf-8"))
_attributes = st.dictionaries(
    st.sampled_from(["subject", "dataschema", "time", "comexample", "partition"]),
    st.one_of(_words, _words.map(lambda text: text * 40)),
)
_data = st.integers(0, 20_000).map(bytes)
_keys = st.one_of(st.none(), st.integers(0, 3_000).map(bytes))
_traces = st.sampled_from([None, "00-" + "1" * 32 + "-" + "2" * 16 + "-01"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    plain = event(draw(st.integers(0, 2**62)), draw(_keys), draw(_data))
    attributes = {**plain.attributes, **draw(_attributes)}
    return replace(plain, attributes=attributes, traceparent=draw(_traces))


def task_bytes(of: Event) -> int:
    """The encoded size of a task with this event, with its key and what Kafka adds."""
    place = partition(offset=of.offset)
    (one,) = place.admit(of, [entry("s" * 128, uid="u" * 26)], 0.0)
    place.draft.redirect(Redirect(one, 20, NOW_MS))
    share = place.draft.take(1)
    assert share is not None
    names = TopicNames("hooklane")
    (task,) = (
        written
        for written in records(share, Layout(names, 12, "hooklane-fanout"), NOW_MS)
        if written.topic == names.backlog
    )
    return len(task.key) + len(task.value or b"") + 100


@settings(deadline=None)
@given(events())
def test_what_fits_the_backlog_fits_it_when_it_is_written(one: Event) -> None:
    """`fits_backlog` implies that the encoded task is within the backlog's limit, at any limit."""
    size = task_bytes(one)
    assert not rules(max_task_bytes=size - 1).fits_backlog(one)


@settings(deadline=None)
@given(events())
def test_what_is_refused_is_near_the_limit(one: Event) -> None:
    """An event is not called too large because of a rough estimate, but for a few KiB."""
    size = task_bytes(one)
    spare = 4096 + 3 * len(one.key or b"") + 64 * len(one.attributes)
    assert rules(max_task_bytes=size + spare).fits_backlog(one)


@pytest.mark.parametrize(("beyond", "fits"), [(0, True), (-1, False)])
def test_the_limit_itself_fits(beyond: int, fits: bool) -> None:
    """A task of just the limit fits, one byte more does not."""
    one = event(5, data=bytes(1_000))
    limit = event_bytes(one) + 2048
    assert rules(max_task_bytes=limit + beyond).fits_backlog(one) is fits


def test_a_long_tracestate_counts_too() -> None:
    """`fits_backlog` counts everything that a publisher may make long."""
    state = ",".join(f"vendor{number}=" + "x" * 200 for number in range(19))
    parent = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    one = replace(event(5, data=bytes(1_000)), traceparent=parent, tracestate=state)
    assert not rules(max_task_bytes=task_bytes(one) - 1).fits_backlog(one)


@settings(deadline=None)
@given(events(), st.integers(8_192, 40_000))
@example(event(5, data=bytes(30_000)), 38_400)
def test_a_letter_fits_the_dead_letters_when_it_is_written(one: Event, limit: int) -> None:
    """A dead letter is within its topic's limit, with or without its payload; its key counts
    thrice at most, in the letter, in its event and in its last attempt."""
    of = replace_event(delivery(5), one)
    record = replace(attempt_record(of, attempt=3), key=one.key, response=bytes(1024))
    found = rules(max_letter_bytes=limit).ended(of, entry(), Attempted(BROKEN, record), NOW_MS)
    assert found.letter is not None
    if 2 * len(one.key or b"") + 4_096 < limit:
        assert len(DEAD_LETTERS.encode(found.letter)) + 100 <= limit


def test_a_key_too_large_for_the_dead_letters_is_not_kept() -> None:
    """Faults, bad input 38: a key is as much a publisher's as a body, and may be as large."""
    one = replace_event(delivery(5), event(5, key=bytes(200_000)))
    letter: DeadLetter = rules(max_letter_bytes=100_000).letter(
        one, DeadLetterReason.TOO_LARGE, NOW_MS
    )
    assert len(DEAD_LETTERS.encode(letter)) <= 100_000


def replace_event(of: Delivery, one: Event) -> Delivery:
    return replace(of, event=one)
