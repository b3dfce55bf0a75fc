"""The retrier's lanes: what is tried, in which order, and what follows each outcome."""

from typing import Any

import pytest

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.commands import Attempt, Command, WriteAttempt, WriteLetter, WriteTicket
from hooklane.retrier.standing import Standing
from hooklane.schemas.records import DeadLetterReason
from tests.support.fanout_facts import TIERS, entry
from tests.support.retrier_facts import (
    DELIVERED,
    FAILED,
    GONE,
    NEVER_MS,
    NOW_MS,
    REFUSED,
    Stand,
    attempts,
    release,
    sequences,
    stand,
    task,
    ticket,
    tombstones,
    words,
)

HALT = {"on_exhausted": "halt", "schedule": []}


def begun(bench: Stand) -> Attempt:
    """The one attempt that may begin."""
    [attempt] = attempts(bench.start())
    return attempt


def test_only_the_first_task_of_a_lane_is_attempted() -> None:
    """Rule 8: only the lowest sequence of a lane may be attempted."""
    bench = stand()
    bench.redirect(task(3), task(4), task(5))
    assert words(bench.start()) == ["attempt 3"]


def test_a_lane_is_not_attempted_twice_at_once() -> None:
    """Rule 8: what is looked at, told of or read again while it is in flight begins nothing."""
    bench = stand()
    of = task(3)
    bench.redirect(of)
    begun(bench)
    bench.redirect(of)
    bench.ticket_comes(ticket(of, 0, NOW_MS, nudge=1))
    bench.redirect(task(4))
    assert bench.start() == []


def test_lanes_run_beside_each_other() -> None:
    """Promise of isolation: other lanes do not wait for one in flight."""
    bench = stand()
    bench.redirect(task(3, "a"), task(4, "b"), task(5, "c"))
    assert sorted(sequences(bench.start())) == [3, 4, 5]


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({}, True),
        ({"attempts": 1, "due_ms": NOW_MS}, True),
        ({"attempts": 1, "due_ms": NOW_MS + 1}, False),
        ({"attempts": 3, "due_ms": 0, "halted": True}, False),
    ],
)
def test_when_the_first_task_may_begin(fields: dict[str, Any], starts: bool) -> None:
    """Rule 8: never attempted at once, others when due, halted ones never."""
    bench = stand()
    bench.redirect(task(3, **fields))
    assert bool(bench.start()) is starts


def test_a_task_behind_one_that_is_not_due_waits() -> None:
    """Promise of order: nothing of a lane overtakes, although it could go at once itself."""
    bench = stand()
    bench.redirect(task(3, attempts=1, due_ms=NEVER_MS), task(4))
    assert bench.start() == []


def test_attempts_are_numbered_on() -> None:
    """Promise of restarts: attempt counts survive, in the task and in its ticket."""
    bench = stand()
    of = task(3, attempts=1, due_ms=0)
    bench.redirect(of)
    bench.ticket_comes(ticket(of, 4, NOW_MS))
    assert begun(bench).number == 5


def test_delivered_goes_on_with_the_next_task_at_once() -> None:
    """Rule 9: tombstone the task, then the lane's next task in the same breath."""
    bench = stand()
    bench.redirect(task(3), task(4))
    assert words(bench.ends(begun(bench), DELIVERED)) == ["tombstone 3", "attempt 4"]


def test_the_next_task_waits_until_it_is_due_itself() -> None:
    """Rule 8: one that was attempted before its redirect has a due time of its own."""
    bench = stand()
    bench.redirect(task(3), task(4, attempts=1, due_ms=NOW_MS + 1))
    follows = bench.ends(begun(bench), DELIVERED)
    assert words(follows) == ["tombstone 3"]
    assert bench.ack(*follows) == []
    bench.now_ms += 1
    assert words(bench.start()) == ["attempt 4"]


def test_released_when_the_last_tombstone_is_acked() -> None:
    """Rule 9: the tombstone before the release, and the release only of an empty lane."""
    bench = stand()
    bench.redirect(task(3), task(4))
    first = bench.ends(begun(bench), DELIVERED)
    last = bench.ends(attempts(first)[0], DELIVERED)
    assert words(last) == ["tombstone 4"]
    assert bench.ack(first[1]) == []
    assert bench.ack(*last) == [release(4)]


def test_acks_out_of_turn_release_the_highest() -> None:
    """Rule 9: whichever ack is the last, the lane is released up to its highest task."""
    bench = stand()
    bench.redirect(task(3), task(4))
    first = bench.ends(begun(bench), DELIVERED)
    last = bench.ends(attempts(first)[0], DELIVERED)
    assert bench.ack(*last) == []
    assert bench.ack(first[1]) == [release(4)]


def test_a_task_that_comes_before_the_ack_puts_the_release_off() -> None:
    """Rule 9: a lane with a task is not empty, however little is known of it yet."""
    bench = stand()
    bench.redirect(task(3))
    last = bench.ends(begun(bench), DELIVERED)
    bench.redirect(task(4))
    assert bench.ack(*last) == []
    assert words(bench.start()) == ["attempt 4"]


def test_a_release_is_owed_until_it_is_acked() -> None:
    """Rule 9: a lane whose release was lost is told of again at the next assignment."""
    bench = stand()
    bench.redirect(task(3))
    told = bench.ack(*bench.ends(begun(bench), DELIVERED))
    bench.backlog.forget(0)
    assert bench.backlog.open(0) == told == [release(3)]
    bench.ack(*told)
    assert bench.backlog.open(0) == []


def test_a_one_shot_lane_gets_no_release() -> None:
    """Section 1: a one-shot lane writes no lane records, so nobody waits for its release."""
    bench = stand()
    bench.redirect(task(3, one_shot=True))
    assert bench.ack(*bench.ends(begun(bench), DELIVERED)) == []


def test_a_lane_of_a_run_gets_no_release() -> None:
    """Rule 12: no fan-out delivers in the lane of a replay or redrive, so none waits for it."""
    bench = stand()
    bench.redirect(task(3, run="01JD"))
    assert bench.ack(*bench.ends(begun(bench), DELIVERED)) == []


def test_failed_rests_once_its_ticket_is_acked() -> None:
    """Rule 10: a ticket in the next tier; until it is durable the lane is at work."""
    bench = stand()
    bench.redirect(task(3))
    attempt = begun(bench)
    record, write = bench.ends(attempt, FAILED)
    standing = Standing(1, 0, NOW_MS + 5_000, halted=False)
    assert write == WriteTicket(attempt.waiting, TIERS[0], standing)
    assert isinstance(record, WriteAttempt)
    assert record.record.next_ms == standing.due_ms
    assert bench.backlog.in_flight == 1
    assert bench.ack(write) == []
    assert bench.backlog.in_flight == 0
    assert bench.start() == []
    bench.now_ms += 5_000
    assert begun(bench).number == 2


def test_exhausted_the_dead_letter_is_acked_before_the_tombstone() -> None:
    """Rule 10: what dies between the two leaves a delivery twice known, never lost."""
    bench = stand(entry(retry={"schedule": []}))
    bench.redirect(task(3), task(4))
    follows = bench.ends(begun(bench), FAILED)
    assert words(follows) == ["letter 3"]
    letter = follows[1]
    assert isinstance(letter, WriteLetter)
    last = letter.letter.last_attempt
    assert (letter.letter.reason, letter.letter.attempts) == (DeadLetterReason.EXHAUSTED, 1)
    assert last is not None
    assert (last.attempt, last.next_ms) == (1, None)
    assert words(bench.ack(letter)) == ["tombstone 3", "attempt 4"]


@pytest.mark.parametrize("outcome", [FAILED, REFUSED])
def test_halted_stays_first_and_is_never_tried(outcome: Outcome) -> None:
    """Rule 10: with `on_exhausted: halt` the task stays first under a halted ticket."""
    bench = stand(entry(retry=HALT))
    bench.redirect(task(3), task(4))
    record, write = bench.ends(begun(bench), outcome)
    assert isinstance(write, WriteTicket)
    assert (write.tier, write.standing.halted) == (TIERS[1], True)
    assert isinstance(record, WriteAttempt)
    assert record.record.next_ms is None
    bench.ack(write)
    bench.now_ms = NEVER_MS
    assert bench.start() == []


def test_refused_is_dead_lettered_at_once() -> None:
    """Section 5: `give_up_on` and blocked addresses are not tried again."""
    bench = stand()
    bench.redirect(task(3))
    letter = bench.ends(begun(bench), REFUSED)[1]
    assert isinstance(letter, WriteLetter)
    assert letter.letter.reason is DeadLetterReason.REFUSED


def test_an_operators_retry_lifts_a_halt() -> None:
    """Rule 11: `retry` is a ticket with nudge + 1, due now."""
    bench = stand()
    of = task(3, attempts=3, due_ms=0, halted=True)
    bench.redirect(of)
    bench.ticket_comes(ticket(of, 3, NOW_MS, nudge=1))
    assert begun(bench).number == 4


def test_gone_disables_and_dead_letters_all_that_waits() -> None:
    """Section 5: 410 writes the status, and what waits goes to dead letters, due or not."""
    bench = stand(entry(offset=8))
    later = task(4, attempts=1, due_ms=NEVER_MS)
    halted = task(5, "other", attempts=1, due_ms=0, halted=True)
    bench.redirect(task(3), later, halted)
    follows = bench.ends(begun(bench), GONE)
    assert words(follows) == ["status", "letter 3"]
    assert [getattr(one, "offset", None) for one in follows] == [None, 8, None]
    elsewhere = bench.backlog.startable(NOW_MS)
    assert words(elsewhere) == ["letter 5"]
    assert words(bench.ack(*follows)) == ["tombstone 3", "letter 4"]
    [letter] = [one.letter for one in elsewhere if isinstance(one, WriteLetter)]
    assert (letter.reason, letter.attempts) == (DeadLetterReason.DISABLED, 1)


def test_deleted_is_discarded_without_attempt_or_letter() -> None:
    """Section 1: deliveries of a deleted subscription are discarded, due or not, in order."""
    bench = stand()
    bench.redirect(task(3, halted=True), task(4, attempts=1, due_ms=NEVER_MS), task(5))
    del bench.book.entries["s"]
    gone = bench.start()
    assert words(gone) == ["tombstone 3", "tombstone 4", "tombstone 5"]
    assert bench.backlog.in_flight == 0
    assert bench.ack(*gone) == [release(5)]


def test_not_discarded_before_the_book_has_read_past_the_task() -> None:
    """Rule 7: the subscription that matched may be one that is not read yet."""
    bench = stand()
    bench.redirect(task(3, config_offset=50))
    del bench.book.entries["s"]
    bench.book.position = 50
    assert bench.start() == []
    bench.book.position = 51
    assert words(bench.start()) == ["tombstone 3"]


def test_a_long_lane_is_discarded_in_strides() -> None:
    """Promise of bounded memory: a lane of any length is not decoded in one go."""
    bench = stand()
    bench.redirect(*(task(number) for number in range(250)))
    bench.book.put(state="disabled")
    lengths, told = [], list[Command]()
    while gone := bench.start():
        lengths.append(len(tombstones(gone)))
        told = bench.ack(*gone)
    assert lengths == [100, 100, 50]
    assert told == [release(249)]


def test_paused_holds_and_resumed_goes_on() -> None:
    """Section 6: deliveries of a paused subscription wait in the backlog."""
    bench = stand()
    bench.redirect(task(3), task(4))
    attempt = begun(bench)
    bench.book.put(state="paused")
    follows = bench.ends(attempt, DELIVERED)
    assert words(follows) == ["tombstone 3"]
    assert bench.ack(*follows) == bench.start() == []
    bench.book.put()
    assert words(bench.start()) == ["attempt 4"]


def test_the_newest_document_is_attempted() -> None:
    """Section 3: a URL that was corrected applies to what already waits."""
    bench = stand()
    bench.redirect(task(3))
    bench.book.put(offset=9, url="http://127.0.0.1:2/")
    assert begun(bench).entry.subscription.url == "http://127.0.0.1:2/"


def test_an_open_circuit_holds_its_own_lanes_only() -> None:
    """Promise of isolation: one dead receiver delays no other subscription."""
    bench = stand(entry(), entry("t", url="http://127.0.0.1:2/"))
    bench.redirect(task(3, "a"), task(4, "b", "t"))
    bench.open_circuits.add("http://127.0.0.1:1/")
    assert words(bench.start()) == ["attempt 4"]
    bench.open_circuits.clear()
    assert words(bench.start()) == ["attempt 3"]


def test_a_subscription_at_its_limit_holds_up_no_other() -> None:
    """Promise of isolation: `max_in_flight` is each subscription's own."""
    bench = stand(entry(delivery={"max_in_flight": 1}), entry("t"))
    bench.redirect(task(3, "a"), task(4, "b"), task(5, "c", "t"), task(6, "d", "t"))
    follows = bench.start()
    assert sorted(sequences(follows)) == [3, 5, 6]
    first = next(one for one in attempts(follows) if one.task.sequence == 3)
    bench.ends(first, DELIVERED)
    assert words(bench.backlog.startable(NOW_MS)) == ["attempt 4"]


def test_a_poisoned_key_holds_up_no_other_key() -> None:
    """Promise of isolation: of one subscription, only the lane that failed rests."""
    bench = stand(entry(delivery={"max_in_flight": 1}))
    bench.redirect(task(3, "poisoned"), task(4, "healthy"))
    bench.ack(*bench.ends(begun(bench), FAILED))
    assert words(bench.start()) == ["attempt 4"]


def test_nothing_is_attempted_before_the_partition_is_open() -> None:
    """Rule 7: a partition is worked on when it is restored, and not before."""
    bench = stand(partitions=())
    bench.redirect(task(3))
    assert bench.start() == []
    bench.backlog.open(0)
    assert words(bench.start()) == ["attempt 3"]


def test_what_cannot_be_decoded_waits_with_all_behind_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rule 12: a newer version's task is left to wait, never dropped; other lanes go on."""
    bench = stand()
    bench.unreadable(1)
    bench.redirect(task(2), task(3, "other"))
    assert words(bench.start()) == ["attempt 3"]
    assert bench.spool.tasks() == 3
    assert bench.start() == []
    assert "task.unreadable" in capsys.readouterr().out
