"""What others do to the retrier's lanes: tombstones from outside, partitions that come and go."""

from itertools import chain

from hooklane.retrier.commands import WriteAttempt
from tests.support.fanout_facts import entry
from tests.support.retrier_facts import (
    DELIVERED,
    FAILED,
    NOW_MS,
    Stand,
    attempts,
    release,
    stand,
    task,
    words,
)


def at_work(*sequences: int) -> Stand:
    bench = stand()
    bench.redirect(*map(task, sequences))
    return bench


def test_a_tombstone_from_outside_resolves_an_idle_task() -> None:
    """Rule 11: an operator's `skip`; the lane's next task is then its first."""
    bench = stand()
    bench.redirect(task(1, attempts=3, due_ms=0, halted=True), task(2))
    assert bench.start() == []
    assert bench.tombstone(1) == []
    assert words(bench.start()) == ["attempt 2"]


def test_a_lane_emptied_from_outside_is_released() -> None:
    """Rule 9: resolved in any way, also by somebody else."""
    bench = stand()
    bench.redirect(task(1, halted=True))
    assert bench.tombstone(1) == [release(1)]


def test_a_tombstone_from_outside_waits_for_the_attempt_in_flight() -> None:
    """Rule 11: it resolves the task once no attempt of it is in flight; nothing is written anew."""
    bench = at_work(1, 2)
    [attempt] = attempts(bench.start())
    assert bench.tombstone(1) == []
    assert bench.start() == []
    follows = bench.ends(attempt, FAILED)
    assert words(follows) == ["attempt 2"]
    assert bench.spool.first(attempt.waiting.lane) == attempts(follows)[0].waiting


def test_the_last_task_skipped_in_flight_releases_its_lane() -> None:
    """Rule 9: the lane is empty as soon as the attempt has ended, whichever way."""
    bench = at_work(1)
    [attempt] = attempts(bench.start())
    bench.tombstone(1)
    follows = bench.ends(attempt, FAILED)
    assert follows[1:] == [release(1)]
    assert isinstance(follows[0], WriteAttempt)
    assert bench.backlog.in_flight == 0


def test_skipped_while_its_ticket_is_written() -> None:
    """Rule 11: the ticket of a task that is resolved meanwhile is used up."""
    bench = at_work(1, 2)
    [attempt] = attempts(bench.start())
    writes = bench.ends(attempt, FAILED)
    bench.tombstone(1)
    assert bench.ack(*writes) == []
    assert bench.spool.get(attempt.waiting.lane, 1) is None
    assert words(bench.start()) == ["attempt 2"]


def test_skipped_while_its_ticket_is_written_releases_an_empty_lane() -> None:
    """Rule 9: the same for the last task of its lane."""
    bench = at_work(1)
    [attempt] = attempts(bench.start())
    writes = bench.ends(attempt, FAILED)
    bench.tombstone(1)
    assert bench.ack(*writes) == [release(1)]


def test_skipped_while_its_dead_letter_is_written() -> None:
    """Rule 11: a dead letter more, and the lane goes on."""
    bench = stand(entry(retry={"schedule": []}))
    bench.redirect(task(1), task(2))
    [attempt] = attempts(bench.start())
    writes = bench.ends(attempt, FAILED)
    bench.tombstone(1)
    assert words(bench.ack(*writes)) == ["tombstone 1", "attempt 2"]


def test_a_later_sequence_skipped_before_a_lower_one_is_released_with_it() -> None:
    """Rule 9: released is the highest resolved, else the lane would stay blocked for ever."""
    bench = at_work(1, 2)
    [attempt] = attempts(bench.start())
    assert bench.tombstone(2) == []
    last = bench.ends(attempt, DELIVERED)
    assert words(last) == ["tombstone 1"]
    assert bench.ack(*last) == [release(2)]


def test_a_later_sequence_skipped_while_the_first_rests() -> None:
    """Rule 9: nothing is released while something lower waits."""
    bench = stand()
    bench.redirect(task(1, halted=True), task(2))
    assert bench.tombstone(2) == []
    assert bench.backlog.open(0) == []
    assert bench.tombstone(1) == [release(2)]


def test_our_own_tombstone_read_back_changes_nothing() -> None:
    """Rule 9: read before it is acked, or after; the release comes once."""
    bench = at_work(1)
    [attempt] = attempts(bench.start())
    last = bench.ends(attempt, DELIVERED)
    assert bench.tombstone(1) == []
    assert bench.ack(*last) == [release(1)]
    assert bench.tombstone(1) == []


def test_a_tombstone_of_an_unknown_task_says_nothing() -> None:
    """What was resolved before the checkpoint is not released once more."""
    assert stand().tombstone(1) == []


def test_a_task_that_is_there_already_is_the_same_task() -> None:
    """Rule 11: read again, it neither falls back to its first standing nor starts anew."""
    bench = stand()
    of = task(1)
    bench.redirect(of)
    bench.ack(*bench.ends(attempts(bench.start())[0], FAILED))
    bench.redirect(of)
    assert bench.start() == []
    assert bench.spool.tasks() == 1


def test_a_partition_on_hold_begins_nothing_and_ends_what_it_has() -> None:
    """Rule 6's likeness: start nothing new, let attempts end, write what they lead to."""
    bench = at_work(1, 2)
    bench.redirect(task(3, "other"))
    first, _ = attempts(bench.start())
    assert {one.sequence for one in bench.backlog.hold(0)} == {1, 3}
    bench.redirect(task(4, "third"))
    assert bench.start() == []
    assert words(bench.ends(first, DELIVERED)) == [f"tombstone {first.task.sequence}"]


def test_a_hold_concerns_its_own_partition() -> None:
    """Others that stay go on."""
    bench = stand(partitions=(0, 1))
    bench.redirect(task(1, "a"))
    bench.redirect(task(2, "b"), partition=1)
    assert bench.backlog.hold(1) == []
    assert words(bench.start()) == ["attempt 1"]


def test_what_comes_of_a_lost_partitions_work_is_not_acted_upon() -> None:
    """Rule 7: the next owner does it again; only what happened is recorded."""
    bench = at_work(1)
    [attempt] = attempts(bench.start())
    bench.backlog.forget(0)
    assert bench.backlog.in_flight == 0
    follows = bench.ends(attempt, DELIVERED)
    assert [type(one) for one in follows] == [WriteAttempt]
    assert bench.spool.tasks() == 1


def test_answers_of_an_earlier_life_do_not_end_a_new_attempt() -> None:
    """Rule 8: after a loss and a return, late acks of the old work let no second one in."""
    bench = stand(entry(retry={"schedule": []}))
    bench.redirect(task(1))
    [old] = attempts(bench.start())
    letter = bench.ends(old, FAILED)
    bench.backlog.forget(0)
    bench.backlog.open(0)
    [new] = attempts(bench.start())
    assert bench.ack(*letter) == []
    assert words(bench.ends(old, DELIVERED)) == []
    assert bench.start() == []
    assert bench.backlog.in_flight == 1
    assert words(bench.ends(new, DELIVERED)) == ["tombstone 1"]


def test_a_late_ticket_counts_also_after_a_return() -> None:
    """Rule 8: a ticket that is in Kafka counts, however late its ack is heard."""
    bench = at_work(1)
    [old] = attempts(bench.start())
    late = bench.ends(old, FAILED)
    bench.backlog.forget(0)
    bench.backlog.open(0)
    bench.ack(*late)
    assert bench.start() == []
    bench.now_ms = NOW_MS + 5_000
    assert [one.number for one in attempts(bench.start())] == [2]


def test_open_writes_what_is_owed_to_empty_lanes() -> None:
    """Rule 9: a release that a crash swallowed is written at the next assignment."""
    bench = stand(partitions=())
    bench.redirect(task(4, "waits"))
    bench.spool.owe(release(3, "waits").owed)
    bench.spool.owe(release(9, "empty").owed)
    assert bench.backlog.open(0) == [release(9, "empty")]


def test_nothing_is_released_beyond_what_has_been_read() -> None:
    """Rules 7 and 9: while a new spool is filled, an owed release waits for the backlog's end."""
    bench = stand(partitions=())
    bench.spool.owe(release(5).owed)  # What the lane's `blocked` record says (ownership).
    bench.redirect(task(1))
    told = bench.tombstone(1)
    bench.redirect(task(5))
    assert told == []


def test_lanes_of_partitions_that_are_not_ours_are_in_nobodys_way() -> None:
    """Promise of isolation: the spool keeps what it knows of partitions that went elsewhere."""
    bench = stand(partitions=(0, 1))
    bench.redirect(*(task(1, f"theirs {number}") for number in range(64)))
    bench.redirect(task(2, "ours"), partition=1)
    bench.backlog.forget(0)
    assert words(bench.start()) == ["attempt 2"]


def test_a_lane_goes_on_when_its_unreadable_task_is_skipped() -> None:
    """Rule 11: `skip` is the operator's way out for a lane that a broken task stops."""
    bench = stand()
    bench.unreadable(1)
    bench.redirect(task(2))
    assert bench.start() == []
    bench.tombstone(1)
    assert words(bench.start()) == ["attempt 2"]


def test_a_tombstone_acked_late_does_not_swallow_the_release() -> None:
    """Rule 9: lost with a tombstone on its way, owned again, attempted again: still released."""
    bench = at_work(1)
    late = bench.ends(attempts(bench.start())[0], DELIVERED)
    bench.backlog.forget(0)
    bench.backlog.open(0)
    [again] = attempts(bench.start())
    told = bench.ack(*late)
    told += bench.ack(*bench.ends(again, FAILED))
    told += bench.tombstone(1)
    told += bench.backlog.open(0)
    assert release(1) in told


def test_a_halted_task_of_a_subscription_made_again_is_discarded() -> None:
    """Section 6: deleted and made again is another one; what waits for the old one is discarded."""
    bench = stand(entry(uid="another"))
    bench.redirect(task(1, halted=True), task(2))
    assert bench.start() == []
    assert words(bench.backlog.look_at_halted(NOW_MS)) == ["tombstone 1", "tombstone 2"]


def test_halted_tasks_of_a_subscription_in_force_wait() -> None:
    """Rule 10: for an operator."""
    bench = stand()
    bench.redirect(task(1, halted=True))
    assert bench.backlog.look_at_halted(NOW_MS) == []


def test_all_halted_lanes_have_their_turn() -> None:
    """Some at a time, of each partition that is restored, and then from the start again."""
    bench = stand(entry(uid="another"), partitions=(1, 4))
    for number in range(120):
        of = task(number, f"lane {number}", halted=True)
        bench.redirect(of, partition=(1, 4, 7)[number % 3])
    found = [words(bench.backlog.look_at_halted(NOW_MS)) for _ in range(4)]
    assert sorted(chain.from_iterable(found)) == sorted(
        f"tombstone {number}" for number in range(120) if number % 3 < 2
    )


def test_a_task_skipped_in_flight_does_not_rise_from_the_dead() -> None:
    """Rule 11: read once, a tombstone counts also if its attempt's end is never heard of."""
    bench = at_work(1, 2)
    bench.start()
    bench.tombstone(1)
    bench.backlog.forget(0)
    bench.backlog.open(0)
    assert words(bench.start()) == ["attempt 2"]


def test_our_own_tombstone_read_before_a_loss_counts() -> None:
    """Promise of order: the next owner goes on to 2 and 3; when we return, 1 must be gone."""
    bench = at_work(1, 2, 3)
    [first] = attempts(bench.start())
    bench.ends(first, DELIVERED)
    bench.tombstone(1)
    bench.backlog.forget(0)
    bench.tombstone(2)
    bench.backlog.open(0)
    assert words(bench.start()) == ["attempt 3"]
