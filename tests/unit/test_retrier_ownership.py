"""Backlog partitions come and go: where to begin, when to open, how to hand over."""

import asyncio
from dataclasses import replace

import pytest

from hooklane.retrier import ownership
from hooklane.retrier.intake import Intake
from hooklane.retrier.ownership import Ownership
from hooklane.retrier.spool import Checkpoint
from hooklane.retrier.tiers import Tiers
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Start
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.records import LaneRecord
from hooklane.schemas.topics import TopicNames, task_key
from tests.support.fanout_facts import TIERS
from tests.support.retrier_facts import DELIVERED, NOW_MS, lane_id, release, task, waiting
from tests.support.retrier_loop import PARTITIONS, Answers, Shop, until

L = lane_id("l")
P = lane_partition(L, PARTITIONS)
PLACE = Assigned("hooklane.backlog", P)
OTHER = Assigned("hooklane.backlog", (P + 1) % PARTITIONS)
ALONG = [Assigned("hooklane.retry.5s", P), Assigned("hooklane.retry.30s", P)]
BLOCKED = LaneRecord(9, "g", "orders", "T", 7, "s", "u", b"l", 0)


class Bench(Shop):
    """A shop with an owner of partitions; nothing is open."""

    def __init__(self, end: int = 0) -> None:
        super().__init__(partitions=())
        self.answers = Answers(end)
        self.flushed = True
        tiers = Tiers(TopicNames(), TIERS, PARTITIONS)
        self.owner = Ownership(
            self.answers, tiers, self.spool, self.backlog, self.workshop, self.flush, self.around
        )

    async def flush(self, seconds: float) -> bool:
        self.watching.told.append("flushed")
        self.ack()
        return self.flushed

    async def assign(self, *places: Assigned) -> list[Start]:
        starts = await self.owner.starts(places)
        self.owner.assigned(places)
        return starts

    def reach(self, *places: Assigned) -> None:
        for place in places:
            self.owner.progress.reached(place, self.answers.end)
        self.owner.advanced()

    def is_open(self) -> bool:
        return f"restored {P}" in self.watching.told

    def checkpoint(self, offset: int) -> None:
        self.spool.save_checkpoint(Checkpoint(P, "T", offset, NOW_MS))


async def test_a_spool_that_is_there_is_continued() -> None:
    """Rule 7: from its own checkpoint; the tiers from what the group has committed."""
    bench = Bench()
    bench.checkpoint(41)
    bench.spool.add(waiting(task(1), P))
    starts = await bench.owner.starts([PLACE])
    assert starts == [Start(PLACE, 41), *map(Start, ALONG)]
    assert bench.spool.tasks() == 1


async def test_a_spool_that_cannot_be_continued_is_made_anew() -> None:
    """Rule 7: an unusable checkpoint is thrown away with everything that it stood for."""
    bench = Bench()
    bench.checkpoint(101)
    bench.spool.add(waiting(task(1), P))
    bench.spool.add(waiting(task(1, "other"), OTHER.partition))
    [start, *_] = await bench.owner.starts([PLACE])
    assert start == Start(PLACE, -2)
    assert bench.spool.tasks() == 1
    assert bench.spool.checkpoint(P) is None


async def test_opened_when_all_has_been_read() -> None:
    """Rule 7: backlog and every tier to the watermarks asked for after the assignment."""
    bench = Bench(end=5)
    bench.checkpoint(3)
    await bench.assign(PLACE)
    bench.redirect(task(1), partition=P)
    assert bench.answers.asked == ["facts"]
    await until(lambda: "ends" in bench.answers.asked)
    await asyncio.sleep(0)
    bench.reach(PLACE, ALONG[0])
    assert not bench.is_open()
    bench.step()
    assert bench.receivers.started == []
    bench.reach(ALONG[1])
    assert bench.is_open()
    assert bench.receivers.sequences() == [1]


async def test_a_new_spool_asks_for_the_blocked_lanes_before_the_end() -> None:
    """Rule 9: a lane that is blocked now and empty at an end asked for later is owed its release.

    The other way round it could be blocked by a redirect that the restore does not reach.
    """
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED, lane_id("elsewhere"): BLOCKED}
    await bench.assign(PLACE)
    await until(bench.is_open)
    assert bench.answers.asked == ["facts", "predecessors", "lanes", "ends"]
    assert bench.writer.topics() == ["lanes"]
    [owed] = bench.spool.owed(P)
    assert (owed.lane, owed.sequence) == (L, 9)
    assert bench.spool.owed(lane_partition(lane_id("elsewhere"), PARTITIONS)) == []


async def test_a_continued_spool_knows_what_it_owes() -> None:
    """The lanes topic is read for a new spool only: it may be large."""
    bench = Bench()
    bench.checkpoint(0)
    await bench.assign(PLACE)
    await until(bench.is_open)
    assert bench.answers.asked == ["facts", "predecessors", "ends"]


async def test_a_silent_broker_only_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad times never stop the service: questions are asked until they are answered."""
    monkeypatch.setattr(ownership, "_RETRY_S", 0.001)
    bench = Bench()
    bench.answers.refusals = 2
    await bench.assign(PLACE)
    bench.answers.refusals = 2
    await until(bench.is_open)
    assert bench.answers.asked.count("facts") == 3
    assert bench.answers.asked.count("predecessors") == 3


async def test_a_fault_of_ours_is_told() -> None:
    """A partition that waits for ever helps nobody: the process ends and is started anew."""
    bench = Bench()
    starts = await bench.owner.starts([PLACE])
    assert starts
    bench.answers.fault = RuntimeError("bug")
    bench.owner.assigned([PLACE])
    assert "bug" in await asyncio.wait_for(bench.owner.failed, 5)


async def opened(end: int = 0) -> Bench:
    bench = Bench(end)
    bench.checkpoint(0)
    await bench.assign(PLACE)
    await until(lambda: "ends" in bench.answers.asked)
    await asyncio.sleep(0)
    bench.reach(PLACE, *ALONG)
    assert bench.is_open()
    bench.watching.told.clear()
    return bench


async def test_a_revocation_ends_the_work_writes_it_and_lets_go() -> None:
    """Rule 6's likeness: attempts get their grace, all is acked, only then it passes on."""
    bench = await opened()
    of = task(1)
    bench.redirect(of, partition=P)
    bench.step()
    revoking = asyncio.create_task(bench.owner.revoke([PLACE]))
    await asyncio.sleep(0)
    assert not revoking.done()
    bench.receivers.end(of, DELIVERED)
    await asyncio.wait_for(revoking, 5)
    assert bench.watching.told == ["flushed", f"revoked {[P]}"]
    assert [one.sequence for one in bench.spool.owed(P)] == [1]
    assert (bench.owner.owned, bench.backlog.in_flight) == ([], 0)


async def test_a_flush_that_fails_does_not_keep_the_partition() -> None:
    """What is not acked is a fact all the same; the next owner may do it again."""
    bench = await opened()
    bench.flushed = False
    await asyncio.wait_for(bench.owner.revoke([PLACE]), 5)
    assert bench.owner.owned == []


async def test_a_loss_drops_the_work_at_once() -> None:
    """Somebody else may work on it already: attempts are cut off, nothing is waited for."""
    bench = await opened()
    bench.redirect(task(1), partition=P)
    bench.step()
    bench.owner.lost([PLACE])
    assert bench.receivers.started[0].cancelled
    assert bench.watching.told == [f"revoked {[P]}"]
    assert (bench.owner.owned, bench.backlog.in_flight) == ([], 0)
    bench.step()
    assert len(bench.receivers.started) == 1


async def test_a_loss_while_restoring_ends_the_restore() -> None:
    """A restore of a partition that went away opens nothing."""
    bench = Bench()
    bench.answers.lanes_answered.clear()
    await bench.assign(PLACE)
    await until(lambda: "lanes" in bench.answers.asked)
    bench.owner.lost([PLACE])
    bench.answers.lanes_answered.set()
    await asyncio.sleep(0.01)
    assert bench.answers.asked == ["facts", "predecessors", "lanes"]
    assert not bench.is_open()


async def test_a_loss_while_restoring_leaves_the_others_to_be_restored() -> None:
    """Partitions of one assignment share their questions, and not their fate."""
    bench = Bench()
    bench.answers.lanes_answered.clear()
    await bench.assign(PLACE, OTHER)
    await until(lambda: "lanes" in bench.answers.asked)
    bench.owner.lost([PLACE])
    bench.answers.lanes_answered.set()
    await until(lambda: f"restored {OTHER.partition}" in bench.watching.told)
    assert not bench.is_open()
    assert bench.owner.owned == [OTHER]


async def test_an_assignment_of_nothing_says_that_the_group_is_joined() -> None:
    """Section 7: ready also with no partition."""
    bench = Bench()
    bench.owner.assigned([])
    assert bench.watching.told == ["assigned []"]
    assert bench.answers.asked == []


async def test_the_checkpoint_says_how_far_has_been_read() -> None:
    """Rule 7: of which topic, to which offset, and when; only of partitions that are ours."""
    bench = await opened(end=5)
    assert bench.owner.save([P, OTHER.partition]) == set()
    assert bench.spool.checkpoint(P) == Checkpoint(P, "T", 5, NOW_MS)
    assert bench.spool.checkpoint(OTHER.partition) is None


async def test_progress_is_told_while_restoring() -> None:
    """Section 7: how much is left to read, once that is known."""
    bench = Bench(end=5)
    bench.checkpoint(0)
    await bench.assign(PLACE)
    bench.owner.tell_progress()
    await until(lambda: "ends" in bench.answers.asked)
    await asyncio.sleep(0)
    bench.owner.tell_progress()
    assert bench.watching.told == [f"assigned {[P]}", f"restoring {P}: 15"]


async def test_a_new_spool_has_no_checkpoint_before_it_owes_the_blocked_lanes() -> None:
    """Rule 7: a process that dies now must make its spool anew once more."""
    bench = Bench()
    bench.answers.lanes_answered.clear()
    await bench.assign(PLACE)
    assert bench.owner.save([P]) == {P}
    assert bench.spool.checkpoint(P) is None


async def continued(bench: Bench, *, end: int = 0) -> None:
    """A spool that is continued reads a tombstone of a task that it never had."""
    bench.checkpoint(3)
    bench.answers.end = end
    await bench.assign(PLACE)
    intake = Intake(bench.spool, bench.backlog, bench.owner.orphans)
    intake.backlog_record(P, task_key(L, 9), None)


async def test_a_lane_that_was_resolved_without_us_gets_its_release() -> None:
    """Rule 9: the owner that resolved it may have died before it wrote the release; the lanes are
    looked at after the restore, and the end of the backlog after that."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED, lane_id("another"): BLOCKED}
    await continued(bench)
    await until(bench.is_open)
    await until(lambda: bench.writer.topics() == ["lanes"])
    assert bench.answers.asked == ["facts", "predecessors", "ends", "lanes", "ends"]
    assert [(one.lane, one.sequence) for one in bench.spool.owed(P)] == [(L, 9)]


async def test_no_checkpoint_passes_what_is_still_to_be_looked_after() -> None:
    """Rule 9: these lanes are known from their tombstones alone, which must be read again after a
    death now."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    bench.answers.lanes_answered.clear()
    await continued(bench)
    before = bench.spool.checkpoint(P)
    await until(bench.is_open)
    assert bench.owner.save([P]) == {P}
    assert bench.spool.checkpoint(P) == before
    bench.answers.lanes_answered.set()
    await until(lambda: bench.writer.topics() == ["lanes"])
    assert bench.owner.save([P]) == set()
    assert bench.spool.checkpoint(P) == Checkpoint(
        P, "T", bench.owner.progress.position(PLACE), NOW_MS
    )


async def test_a_lane_with_tasks_left_is_not_looked_after() -> None:
    """Rule 9: its last task brings its release; the lanes topic may be large."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    bench.spool.add(waiting(task(10), P))
    await continued(bench)
    await until(bench.is_open)
    await asyncio.sleep(0.01)
    assert "lanes" not in bench.answers.asked


async def test_a_release_that_is_owed_already_is_enough() -> None:
    """Rule 9: died between the tombstone and the release; the spool knows what it owes."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    bench.spool.owe(replace(release(9).owed, partition=P))
    await continued(bench)
    await until(bench.is_open)
    await asyncio.sleep(0.01)
    assert "lanes" not in bench.answers.asked
    assert bench.writer.topics() == ["lanes"]


async def test_a_task_that_came_meanwhile_brings_its_own_release() -> None:
    """Rule 9: a release that says less must not come after one that says more."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    bench.answers.lanes_answered.clear()
    await continued(bench)
    await until(lambda: "lanes" in bench.answers.asked)
    Intake(bench.spool, bench.backlog, bench.owner.orphans).backlog_record(
        P, task_key(L, 10), waiting(task(10)).record
    )
    bench.answers.lanes_answered.set()
    await until(lambda: bench.answers.asked[-1] == "ends")
    await asyncio.sleep(0.01)
    assert bench.writer.topics() == []
    assert bench.spool.owed(P) == []


async def test_a_lane_is_released_only_when_the_backlog_is_read_to_its_end() -> None:
    """Rule 9: what was redirected before `blocked` was read must be known before it is answered."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    await continued(bench, end=5)
    await until(lambda: "ends" in bench.answers.asked)
    await asyncio.sleep(0)
    bench.answers.end = 5
    for place in (PLACE, *ALONG):
        bench.owner.progress.reached(place, 5)
    bench.answers.end = 7
    bench.owner.advanced()
    await until(lambda: bench.answers.asked[-2:] == ["lanes", "ends"])
    await asyncio.sleep(0.01)
    assert bench.writer.topics() == []
    bench.reach(PLACE)
    await until(lambda: bench.writer.topics() == ["lanes"])


async def test_a_lost_partition_is_not_looked_after() -> None:
    """Its next owner restores for itself."""
    bench = Bench()
    bench.answers.blocked = {L: BLOCKED}
    bench.answers.lanes_answered.clear()
    await continued(bench)
    await until(lambda: "lanes" in bench.answers.asked)
    bench.owner.lost([PLACE])
    bench.answers.lanes_answered.set()
    await asyncio.sleep(0.01)
    assert bench.writer.topics() == []
