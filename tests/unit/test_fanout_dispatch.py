"""The dispatcher: carries out what the schedule says, and gives the ends of attempts to drafts."""

import asyncio
from dataclasses import replace

import pytest

from hooklane.delivery.outcome import Outcome
from hooklane.fanout.delivery import Delivery
from hooklane.fanout.dispatch import Dispatcher
from hooklane.fanout.gate import LaneGate
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.redirect import Disabling, Share
from hooklane.fanout.schedule import Schedule
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.records import AttemptOutcome, DeadLetterReason
from tests.support.fanout_facts import (
    ACCEPTED,
    BLOCKED,
    BROKEN,
    GONE,
    Attempts,
    Book,
    HandClock,
    counted,
    delivery,
    entry,
    event,
    partition,
    process,
    rules,
    settled_loop,
    until,
)

LIMIT = 100_000
PATIENCE_S = 2.0
NOTHING_STARTS_S = 3.0
"""After that long without a poll the fence is closed."""


class Stage:
    """A dispatcher with real rules, gate and schedule; the test ends the attempts."""

    def __init__(self, *partitions: EventPartition) -> None:
        self.clock = HandClock()
        self.process = process(self.clock)
        for one in partitions or (partition(),):
            self.process.owned.add(one)
        (self.first, *_) = self.process.owned
        self.book = Book(entry("s", 7))
        self.gate = LaneGate(self.book, self.process.owned.lanes, self.process.receivers(), 10)
        self.schedule = Schedule(self.gate, 10, PATIENCE_S)
        self.attempts = Attempts()
        self.changed: list[tuple[EventPartition, int]] = []
        self.dispatcher = Dispatcher(
            self.process,
            self.schedule,
            self.gate,
            self.attempts,
            rules(max_task_bytes=LIMIT),
            lambda one: self.changed.append((one, one.ledger.open_deliveries)),
        )

    def comes(
        self,
        lane: str = "l",
        into: EventPartition | None = None,
        size: int = 2,
        *,
        one_shot: bool = False,
        undecided: str = "",
    ) -> Delivery:
        """The next event of the partition, matched by `s`."""
        at = into or self.first
        offset = at.ledger.position
        one = delivery(offset, f"{lane}/{at.place.partition}", place=at.place, one_shot=one_shot)
        one = replace(one, event=event(offset, data=bytes(size)), admitted=self.clock.now)
        one.undecided = undecided
        at.ledger.admit(offset, [one.subscriber])
        self.dispatcher.add([one])
        self.dispatcher.step()
        return one

    def ends(self, outcome: Outcome, which: int = -1) -> None:
        self.attempts.begun[which].end(outcome)

    def opens_half(self) -> None:
        """Ten lanes fail, which opens the circuit, and its cool-down passes."""
        for lane in range(10):
            self.comes(str(lane))
            self.ends(BROKEN)
        for _ in range(6):
            self.clock.now += 1.0
            self.process.fence.polled(self.clock.now)

    def sleeps(self, seconds: float = NOTHING_STARTS_S) -> None:
        """No poll for so long."""
        self.clock.now += seconds

    def wakes(self) -> None:
        """Poll again, until the fence has opened."""
        for _ in range(2):
            self.process.fence.polled(self.clock.now)
            self.clock.now += 0.5

    def share(self, of: EventPartition | None = None) -> Share:
        found = (of or self.first).draft.take(100)
        assert found is not None
        return found

    def commits(self) -> Share:
        """The next transaction of the partition, well ended."""
        share = self.share()
        self.dispatcher.committed(share.dead_letters)
        return share

    def lets_go(self, one: EventPartition) -> None:
        self.process.owned.remove(Assigned(one.place.topic, one.place.partition))


def sequences(share: Share) -> list[int]:
    return [one.delivery.sequence for one in share.redirects]


# What each outcome leads to.


def test_an_attempt_is_made_by_the_newest_document() -> None:
    """Section 3: the document that applies is the one in force now, not the one that matched."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 9, url="http://127.0.0.1:2/")
    one = stage.comes()
    (begun,) = stage.attempts.begun
    assert begun.delivery.subscription.url == "http://127.0.0.1:2/"
    assert (begun.delivery.sequence, begun.delivery.lane) == (0, one.lane)
    assert (begun.delivery.webhook_id, begun.delivery.event) == (one.webhook_id, one.event)
    assert (begun.delivery.attempt, begun.delivery.run) == (1, "")


def test_delivered_is_settled_and_the_next_of_its_lane_starts() -> None:
    """Rules 1 and 2: one attempt in flight a lane, and the next one when it has ended."""
    stage = Stage()
    stage.comes()
    stage.comes()
    assert stage.attempts.sequences == [0]
    stage.clock.wall = 2_500
    stage.ends(ACCEPTED)
    assert stage.attempts.sequences == [0, 1]
    share = stage.share()
    assert (share.offset, share.redirects, share.dead_letters) == (1, (), ())
    assert [one.outcome for one in share.attempts] == [AttemptOutcome.DELIVERED]
    assert counted(stage.process.metrics, "delivery_latency_seconds_sum") == 1.5
    assert stage.changed[-1] == (stage.first, 1)


def test_failed_is_redirected_with_all_behind_it() -> None:
    """Rule 3: with its ticket; what waits behind it goes without an attempt, and its lane is
    blocked for what comes later."""
    stage = Stage()
    stage.comes()
    stage.comes()
    stage.ends(BROKEN)
    stage.comes()
    share = stage.share()
    assert stage.attempts.sequences == [0]
    assert sequences(share) == [0, 1, 2]
    assert [one.attempts for one in share.redirects] == [1, 0, 0]
    assert [one.ticket is not None for one in share.redirects] == [True, False, False]
    assert [one.sequence for one in share.blocked] == [2]
    assert [one.outcome for one in share.attempts] == [AttemptOutcome.FAILED]
    assert share.attempts[0].next_ms == share.redirects[0].due_ms
    assert counted(stage.process.metrics, "delivery_latency_seconds_count") == 0


def test_a_failure_of_one_lane_is_no_business_of_another() -> None:
    """Isolation: one poisoned key stops no other key of its subscription."""
    stage = Stage()
    stage.comes("poisoned")
    stage.ends(BROKEN)
    stage.comes("healthy")
    stage.comes("poisoned")
    assert stage.attempts.sequences == [0, 1]
    assert sequences(stage.share()) == [0, 2]


def test_refused_is_a_dead_letter_and_then_its_lane_goes_on() -> None:
    """Rule 2 and the promise of order: refused for good is resolved by the transaction with its
    dead letter, and what is behind it starts when that is committed, not before."""
    stage = Stage()
    stage.comes()
    stage.comes()
    stage.ends(BLOCKED)
    stage.comes()
    stage.comes("another")
    assert stage.attempts.sequences == [0, 3]
    share = stage.commits()
    assert [one.reason for one in share.dead_letters] == [DeadLetterReason.REFUSED]
    assert (share.offset, share.redirects) == (1, ())
    assert stage.attempts.sequences == [0, 3, 1]
    assert counted(stage.process.metrics, "delivery_latency_seconds_count") == 0


def test_with_halt_a_refusal_blocks_its_lane() -> None:
    """Rule 2: with `on_exhausted: halt` it is redirected, halted, and stays first."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, retry={"on_exhausted": "halt"})
    stage.comes()
    stage.comes()
    stage.ends(BLOCKED)
    share = stage.share()
    assert [(one.delivery.sequence, one.halted) for one in share.redirects] == [
        (0, True),
        (1, False),
    ]
    assert share.dead_letters == ()


def test_a_410_gives_up_all_that_waits_and_comes() -> None:
    """Section 5: dead letters for it, for what waits and for what comes, and one status record
    that names the document that was attempted."""
    stage = Stage()
    for _ in range(2):
        stage.comes()
    stage.ends(GONE)
    stage.comes("another")
    shares = [stage.commits(), stage.commits()]
    letters = sorted(
        (letter.offset, letter.attempts, letter.reason)
        for share in shares
        for letter in share.dead_letters
    )
    gone = DeadLetterReason.DISABLED
    assert letters == [(0, 1, gone), (1, 0, gone), (2, 0, gone)]
    disabling = Disabling("s", 7, GONE.detail, stage.clock.wall)
    assert [share.disablings for share in shares] == [(disabling,), ()]
    assert (shares[1].offset, stage.attempts.sequences) == (3, [0])


def test_a_newer_document_voids_the_410() -> None:
    """Section 5: whoever writes the document anew wants it tried again."""
    stage = Stage()
    stage.comes()
    stage.ends(GONE)
    stage.commits()
    stage.book.entries["s"] = entry("s", 8)
    stage.comes()
    assert stage.attempts.sequences == [0, 1]


def test_behind_a_letter_of_the_410_nothing_starts_before_it_is_committed() -> None:
    """Promise of order: given up without an attempt, it would be attempted after a crash, and must
    not come behind what a newer document let through meanwhile."""
    stage = Stage()
    stage.comes()
    stage.ends(GONE)
    stage.commits()
    stage.comes()
    stage.book.entries["s"] = entry("s", 8)
    stage.comes()
    stage.comes("another")
    assert stage.attempts.sequences == [0, 3]
    assert [one.offset for one in stage.commits().dead_letters] == [1]
    assert stage.attempts.sequences == [0, 3, 2]


def test_behind_one_too_large_for_a_pause_nothing_starts_before_its_letter_is_committed() -> None:
    """The same where the backlog could not take what was to wait there."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, state="paused")
    stage.comes(size=LIMIT)
    stage.book.entries["s"] = entry("s", 8)
    stage.comes()
    assert stage.attempts.sequences == []
    stage.commits()
    assert stage.attempts.sequences == [1]


def test_a_letter_without_an_attempt_goes_with_its_partition() -> None:
    """Cut off before it was committed: its lane is forgotten, and a late word does nothing."""
    stage = Stage()
    stage.comes()
    stage.ends(GONE)
    stage.commits()
    stage.comes()
    share = stage.share()
    stage.dispatcher.cut_off([stage.first.place])
    stage.dispatcher.committed(share.dead_letters)
    stage.book.entries["s"] = entry("s", 8)
    stage.comes()
    assert stage.attempts.sequences == [0, 2]


def test_deleted_while_an_attempt_was_in_flight() -> None:
    """The attempt's own document decides about it; what waits behind it is discarded."""
    stage = Stage()
    stage.comes()
    stage.comes()
    del stage.book.entries["s"]
    stage.ends(BLOCKED)
    share = stage.commits()
    assert [one.offset for one in share.dead_letters] == [0]
    assert (stage.share().offset, stage.attempts.sequences) == (2, [0])


def test_paused_is_redirected_without_an_attempt() -> None:
    """Rule 3: deliveries of a paused subscription wait in the backlog."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, state="paused")
    stage.comes()
    assert (sequences(stage.share()), stage.attempts.begun) == ([0], [])


def test_too_large_for_the_backlog_is_a_dead_letter_with_a_reference() -> None:
    """Rule 3: a task that fits no record is dead-lettered; its lane goes on behind the letter."""
    stage = Stage()
    stage.comes(size=LIMIT)
    stage.comes()
    stage.ends(BROKEN)
    share = stage.share()
    (letter,) = share.dead_letters
    assert (letter.reason, letter.event, letter.offset) == (DeadLetterReason.TOO_LARGE, None, 0)
    assert (sequences(share), share.offset) == ([], 1)


def test_the_letter_of_one_too_large_has_its_attempt() -> None:
    """Section 1: a dead letter has the delivery's last attempt, and says how many there were."""
    stage = Stage()
    stage.comes(size=LIMIT)
    stage.ends(BROKEN)
    (letter,) = stage.share().dead_letters
    assert letter.attempts == 1
    assert letter.last_attempt is not None


def test_one_too_large_does_not_block_its_lane() -> None:
    """It is resolved by its dead letter: nothing of the lane waits in the backlog."""
    stage = Stage()
    stage.comes(size=LIMIT)
    stage.ends(BROKEN)
    assert stage.commits().blocked == ()
    stage.comes()
    assert stage.attempts.sequences == [0, 1]


def test_behind_one_too_large_nothing_starts_before_its_letter_is_committed() -> None:
    """Promise of order: an attempt starts only when every earlier one of its lane was resolved."""
    stage = Stage()
    stage.comes(size=LIMIT)
    stage.ends(BROKEN)
    stage.comes()
    assert stage.attempts.sequences == [0]


def test_one_shot_deliveries_are_redirected_alone() -> None:
    """Section 1: nothing stands behind a delivery of a one-shot lane."""
    stage = Stage()
    stage.comes("a", one_shot=True)
    stage.ends(BROKEN)
    share = stage.share()
    assert (sequences(share), share.blocked) == ([0], ())


def test_the_circuit_hears_of_every_end() -> None:
    """Rule 3: when enough lanes have failed, the circuit opens and the next are redirected
    without an attempt."""
    stage = Stage()
    for lane in range(10):
        stage.comes(str(lane))
        stage.ends(BROKEN)
    stage.comes("one more")
    assert len(stage.attempts.begun) == 10
    assert sequences(stage.share()) == list(range(11))


def test_a_half_open_circuit_lets_one_probe_through() -> None:
    """After the cool-down one attempt tells whether the receiver is well; others do not try."""
    stage = Stage()
    stage.opens_half()
    stage.comes("probe")
    stage.comes("other")
    assert stage.attempts.sequences == [*range(10), 10]
    stage.ends(ACCEPTED)
    stage.comes("later")
    assert stage.attempts.sequences == [*range(10), 10, 12]


def test_a_half_open_circuit_lets_one_lane_of_a_whole_batch_through() -> None:
    """Deliveries that come in together after the cool-down are judged before any of them starts:
    still one of them is the probe, and the others are redirected."""
    stage = Stage()
    stage.opens_half()
    batch = [delivery(number, f"lane {number}") for number in range(10, 15)]
    for one in batch:
        stage.first.ledger.admit(one.sequence, [one.subscriber])
    stage.dispatcher.add(batch)
    stage.dispatcher.step()
    assert stage.attempts.sequences == [*range(10), 10]
    assert sequences(stage.share())[-4:] == [11, 12, 13, 14]


async def test_a_rate_limit_lets_the_next_one_start_by_itself() -> None:
    """Section 6: what waits for its rate starts at its moment, without any event or tick."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, delivery={"rate_limit": "20/s"})
    for lane in "abc":
        stage.comes(lane)
    assert stage.attempts.sequences == [0]
    stage.clock.now += 0.06
    await until(lambda: len(stage.attempts.begun) == 2)
    assert stage.attempts.sequences == [0, 1]


def test_attempts_are_counted() -> None:
    """Section 7: by outcome, and how many are in flight."""
    stage = Stage()
    stage.comes("a")
    stage.comes("b")
    stage.comes("c")
    metrics = stage.process.metrics
    assert counted(metrics, "attempts_in_flight") == 3
    for which, outcome in enumerate((ACCEPTED, BROKEN, BLOCKED)):
        stage.ends(outcome, which)
    for kind in AttemptOutcome:
        labels = {"service": "fanout", "outcome": kind.value}
        assert counted(metrics, "delivery_attempts_total", **labels) == 1
    assert counted(metrics, "delivery_attempt_duration_seconds_count") == 3


def test_when_the_last_attempt_has_ended_none_is_in_flight() -> None:
    """Section 7: `hooklane_attempts_in_flight` is what is under way now."""
    stage = Stage()
    stage.comes()
    stage.ends(ACCEPTED)
    assert counted(stage.process.metrics, "attempts_in_flight") == 0


def test_what_waits_too_long_is_redirected() -> None:
    """Rule 3: a lane that waits for a slot of its slow subscription goes to the backlog."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, delivery={"max_in_flight": 1})
    stage.comes("slow")
    stage.comes("waits")
    stage.clock.now += PATIENCE_S
    stage.process.fence.polled(stage.clock.now)
    stage.dispatcher.spill(0.01)
    assert not stage.first.draft.urgent
    stage.clock.now += 0.1
    stage.dispatcher.spill(0.01)
    assert sequences(stage.share()) == [1]


# The fence.


def test_nothing_starts_while_the_fence_is_closed_and_goes_on_when_it_opens() -> None:
    """Self-fencing: no attempt and no redirect starts; afterwards everything does, in order."""
    stage = Stage()
    stage.comes("in flight")
    stage.sleeps()
    stage.comes("new")
    stage.ends(BROKEN)
    stage.dispatcher.spill(0.0)
    assert stage.attempts.sequences == [0]
    assert not stage.first.draft.urgent
    stage.wakes()
    stage.dispatcher.spill(0.0)
    assert stage.attempts.sequences == [0, 1]
    assert sequences(stage.share()) == [0]


def test_what_succeeded_while_the_fence_was_closed_is_settled() -> None:
    """The receiver has it: to forget that would deliver it twice. Only its successor waits."""
    stage = Stage()
    stage.comes()
    stage.comes()
    stage.sleeps()
    stage.ends(ACCEPTED)
    assert stage.attempts.sequences == [0]
    assert stage.share().offset == 1
    stage.wakes()
    stage.dispatcher.step()
    assert stage.attempts.sequences == [0, 1]


def test_behind_a_failure_of_a_closed_fence_nothing_overtakes() -> None:
    """Promise of order: an attempt starts only when every earlier one of its lane was resolved.

    After a stall longer than a third of the session: the attempt in flight fails, the next event
    of its key comes with the first polls, and then the fence opens.
    """
    stage = Stage()
    stage.comes()
    stage.sleeps()
    stage.ends(BROKEN)
    stage.process.fence.polled(stage.clock.now)
    stage.comes()
    stage.wakes()
    stage.dispatcher.step()
    assert stage.attempts.sequences == [0]
    assert sequences(stage.share()) == [0, 1]


def test_behind_a_redirect_of_a_closed_fence_nothing_overtakes() -> None:
    """The same for a delivery that was to follow its lane, which is released meanwhile."""
    stage = Stage()
    stage.comes()
    stage.ends(BROKEN)
    stage.share()
    stage.sleeps()
    later = stage.comes()
    stage.first.lanes.release(later.lane, 0)
    stage.comes()
    stage.wakes()
    stage.dispatcher.step()
    assert stage.attempts.sequences == [0]
    assert sequences(stage.share()) == [1, 2]


# When partitions go.


async def test_a_drain_waits_for_what_is_in_flight() -> None:
    """Rule 6: attempts in flight get a grace; nothing new starts there, other partitions go on."""
    leaving, staying = partition(0), partition(1)
    stage = Stage(leaving, staying)
    stage.comes("a", leaving)
    stage.comes("a", leaving)
    drain = asyncio.create_task(stage.dispatcher.drain([leaving.place], 30.0))
    await settled_loop()
    assert not drain.done()
    stage.comes("b", staying)
    assert [one.delivery.lane for one in stage.attempts.begun] == ["a/0", "b/1"]
    stage.ends(ACCEPTED, 0)
    await drain
    assert stage.share(leaving).offset == 1
    assert len(stage.attempts.begun) == 2
    assert not any(one.cancelled for one in stage.attempts.begun)


async def test_what_fails_in_a_drain_is_redirected() -> None:
    """Rule 6: it is committed with the rest; what waited behind it is left to the next owner."""
    stage = Stage()
    stage.comes()
    stage.comes()
    drain = asyncio.create_task(stage.dispatcher.drain([stage.first.place], 30.0))
    await settled_loop()
    stage.ends(BROKEN)
    await drain
    share = stage.share()
    assert (sequences(share), share.offset) == ([0], 1)


async def test_a_drain_cuts_off_what_takes_too_long() -> None:
    """Rule 6: after the grace the rest is cancelled, and it is not settled."""
    stage = Stage()
    stage.comes("quick")
    stage.comes("slow")
    drain = asyncio.create_task(stage.dispatcher.drain([stage.first.place], 0.05))
    await settled_loop()
    stage.ends(ACCEPTED, 0)
    await drain
    assert [one.cancelled for one in stage.attempts.begun] == [False, True]
    assert stage.share().offset == 1
    assert counted(stage.process.metrics, "attempts_in_flight") == 0


async def test_a_drain_of_idle_partitions_ends_at_once() -> None:
    """Nothing in flight, nothing to wait for."""
    stage = Stage()
    await asyncio.wait_for(stage.dispatcher.drain([stage.first.place], 3600.0), 5.0)


def test_cut_off_cancels_and_never_settles() -> None:
    """Rule 6: what belonged to a lost partition is dropped, never redirected, also not what had
    already failed or waited."""
    lost, kept = partition(0), partition(1)
    stage = Stage(lost, kept)
    stage.comes("a", lost)
    stage.comes("a", lost)
    stage.comes("b", kept)
    stage.sleeps()
    stage.comes("c", lost)
    stage.dispatcher.cut_off([lost.place])
    stage.lets_go(lost)
    stage.wakes()
    stage.dispatcher.step()
    assert [one.cancelled for one in stage.attempts.begun] == [True, False]
    assert [one.delivery.lane for one in stage.attempts.begun] == ["a/0", "b/1"]
    assert lost.draft.take(100) is None
    assert counted(stage.process.metrics, "attempts_in_flight") == 1
    stage.ends(ACCEPTED)
    assert stage.share(kept).offset == 1


def test_a_failure_that_was_not_carried_out_goes_with_its_partition() -> None:
    """A failed attempt behind a closed fence is not redirected once its partition is lost."""
    lost, kept = partition(0), partition(1)
    stage = Stage(lost, kept)
    stage.comes("a", lost)
    stage.sleeps()
    stage.ends(BROKEN)
    stage.dispatcher.cut_off([lost.place])
    stage.lets_go(lost)
    stage.wakes()
    stage.dispatcher.step()
    share = lost.draft.take(100)
    assert share is not None
    assert (share.redirects, share.offset) == ((), 0)


def test_a_redirect_that_was_dropped_takes_nothing_along() -> None:
    """What was to follow a redirect that is dropped with its partition is attempted by its next
    owner, also when that is this process."""
    stage = Stage()
    stage.comes()
    stage.sleeps()
    stage.ends(BROKEN)
    stage.dispatcher.cut_off([stage.first.place])
    again = partition()
    stage.lets_go(stage.first)
    stage.process.owned.add(again)
    stage.comes(into=again)
    stage.wakes()
    stage.dispatcher.step()
    assert stage.attempts.sequences == [0, 0]


def test_a_letter_that_was_not_committed_goes_with_its_partition() -> None:
    """A refusal whose letter is not committed is done again by the next owner; its lane is free
    for the next assignment here."""
    stage = Stage()
    stage.comes()
    stage.ends(BLOCKED)
    letters = stage.share().dead_letters
    stage.dispatcher.cut_off([stage.first.place])
    again = partition()
    stage.lets_go(stage.first)
    stage.process.owned.add(again)
    stage.comes(into=again)
    stage.dispatcher.committed(letters)
    stage.comes(into=again)
    assert stage.attempts.sequences == [0, 0]


@pytest.mark.parametrize("ended", ["before", "meanwhile"])
async def test_a_drain_waits_for_the_letters_too(ended: str) -> None:
    """Rule 6: what was refused is in flight until its dead letter is committed."""
    stage = Stage()
    stage.comes()
    if ended == "before":
        stage.ends(BLOCKED)
    drain = asyncio.create_task(stage.dispatcher.drain([stage.first.place], 30.0))
    await settled_loop()
    if ended == "meanwhile":
        stage.ends(BLOCKED)
        await settled_loop()
    assert not drain.done()
    stage.commits()
    await asyncio.wait_for(drain, 5.0)


def test_after_a_cut_off_the_slots_are_free() -> None:
    """The next assignment of the same partition starts with all of its slots."""
    stage = Stage()
    stage.book.entries["s"] = entry("s", 7, delivery={"max_in_flight": 1})
    stage.comes()
    stage.dispatcher.cut_off([stage.first.place])
    again = partition()
    stage.lets_go(stage.first)
    stage.process.owned.add(again)
    stage.comes(into=again)
    assert [one.delivery.sequence for one in stage.attempts.begun] == [0, 0]


async def test_two_drains_at_once_both_end_with_the_last_attempt() -> None:
    """Rule 6 and SIGTERM: each ends when nothing is in flight any more."""
    stage = Stage()
    stage.comes()
    drains = [
        asyncio.create_task(stage.dispatcher.drain([stage.first.place], 1.0)),
        asyncio.create_task(stage.dispatcher.drain([stage.first.place], 1.0)),
    ]
    await settled_loop()
    stage.ends(ACCEPTED)
    await settled_loop()
    done = [drain.done() for drain in drains]
    await asyncio.gather(*drains)
    assert done == [True, True]


def test_nothing_is_kept_of_partitions_that_have_gone() -> None:
    """Promise of bounded memory: what is dropped is forgotten everywhere."""
    stage = Stage()
    stage.comes()
    stage.sleeps()
    stage.ends(BROKEN)
    stage.dispatcher.cut_off([stage.first.place])
    assert not stage.dispatcher._failed
