"""The retrier's rooms together: a batch, commits of the tiers, strays, the end."""

import asyncio
import contextlib
from collections.abc import Mapping

import pytest

from hooklane.retrier import service
from hooklane.retrier.ownership import Ownership
from hooklane.retrier.service import Retrier
from hooklane.retrier.spool import Checkpoint, Waiting
from hooklane.retrier.tiers import Tiers
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed
from hooklane.runtime.transactions import StuckError
from hooklane.schemas.codec import TASKS, TICKETS
from hooklane.schemas.records import DeliveryTask, RetryTicket
from hooklane.schemas.topics import TopicNames, task_key
from tests.support.fanout_facts import TIERS
from tests.support.retrier_facts import (
    DELIVERED,
    NEVER_MS,
    NOW_MS,
    CopyingSpool,
    lane_id,
    task,
    ticket,
)
from tests.support.retrier_loop import PARTITIONS, Answers, Shop, until

PLACE = Assigned("hooklane.backlog", 0)
FAST, SLOW = Assigned("hooklane.retry.5s", 0), Assigned("hooklane.retry.30s", 0)


class Source:
    def __init__(self) -> None:
        self.commits: list[dict[Assigned, int]] = []
        self.told: list[str] = []

    def start(self) -> None:
        self.told.append("start")

    def commit(self, offsets: Mapping[Assigned, int]) -> None:
        if offsets:
            self.commits.append(dict(offsets))
            self.told.append("commit")

    def rejoin(self) -> None:
        self.told.append("rejoin")

    async def stop(self) -> None:
        self.told.append("stop")


class FullSpool(CopyingSpool):
    """On a disk that may be full."""

    full = False

    def add(self, task: Waiting) -> bool:
        if self.full:
            raise OSError("no space left on device")
        return super().add(task)


class Bench(Shop):
    """A retrier that owns partition 0, restored; its loops do not run unless it is started."""

    def __init__(self) -> None:
        self.full_spool = FullSpool()
        super().__init__(partitions=(), spool=self.full_spool)
        self.answers, self.source = Answers(), Source()
        tiers = Tiers(TopicNames(), TIERS, PARTITIONS)

        async def flush(_: float) -> bool:
            self.ack()
            return True

        owner = Ownership(
            self.answers, tiers, self.spool, self.backlog, self.workshop, flush, self.around
        )
        self.retrier = Retrier(
            self.spool, self.backlog, self.workshop, owner, self.answers, tiers, self.around
        )
        self.retrier._source = self.source

    async def own(self) -> "Bench":
        self.spool.save_checkpoint(Checkpoint(0, "T", 0, NOW_MS))
        await self.retrier.starts([PLACE])
        self.retrier.assigned([PLACE])
        await until(lambda: "restored 0" in self.watching.told)
        return self


def of_backlog(offset: int, of: DeliveryTask, *, tombstone: bool = False) -> Consumed:
    value = None if tombstone else TASKS.encode(of)
    return Consumed(*PLACE, offset, NOW_MS, task_key(of.lane, of.sequence), value, [])


def of_tier(offset: int, of: RetryTicket, place: Assigned = FAST) -> Consumed:
    return Consumed(*place, offset, NOW_MS, of.lane.encode(), TICKETS.encode(of), [])


async def test_what_is_read_is_attempted_at_once() -> None:
    """Promise of restarts: nothing waits for the next look."""
    bench = await Bench().own()
    bench.retrier.consumed([of_backlog(0, task(1))])
    assert bench.receivers.sequences() == [1]


async def test_a_checkpoint_is_saved_of_what_was_read() -> None:
    """Rule 7: a checkpoint never says more than the spool has; half a batch is none."""
    bench = await Bench().own()
    broken = Consumed(*PLACE, 1, NOW_MS, b"not bytes of ours", b"", [])
    bench.retrier.consumed([of_backlog(0, task(1)), broken, of_backlog(2, task(2))])
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 0, NOW_MS)
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 3, NOW_MS)
    bench.full_spool.full = True
    with contextlib.suppress(OSError):
        bench.retrier.consumed([of_backlog(3, task(3))])
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 3, NOW_MS)


async def test_checkpoints_are_saved_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise of restarts: a start reads again no more than the last second."""
    monkeypatch.setattr(service, "_REMEMBER_S", 0.001)
    bench = await Bench().own()
    bench.retrier.start(bench.source)
    bench.retrier.consumed([of_backlog(0, task(1))])
    await until(lambda: bench.spool.checkpoint(0) == Checkpoint(0, "T", 1, NOW_MS))


async def test_a_checkpoint_that_could_not_be_saved_yet_is_saved_later() -> None:
    """Promise of restarts: a spool that is made anew is whole once it knows the blocked lanes."""
    bench = Bench()
    bench.answers.lanes_answered.clear()
    await bench.retrier.starts([PLACE])
    bench.retrier.assigned([PLACE])
    bench.retrier.consumed([of_backlog(0, task(1))])
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) is None
    bench.answers.lanes_answered.set()
    await until(lambda: "restored 0" in bench.watching.told)
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 1, NOW_MS)


async def test_a_retrier_that_stops_saves_its_checkpoints() -> None:
    """Promise of restarts: after SIGTERM nothing is read again."""
    bench = await Bench().own()
    bench.retrier.consumed([of_backlog(0, task(1))])
    await bench.retrier.stop(0.0)
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 1, NOW_MS)


async def test_what_is_resolved_is_out_of_the_spool_before_the_checkpoint_passes_it() -> None:
    """Rule 7: a tombstone that a continued spool has passed is not read again."""
    bench = await Bench().own()
    bench.retrier.consumed([of_backlog(0, task(1)), of_backlog(1, task(2))])
    bench.receivers.end(task(1), DELIVERED)
    bench.retrier.consumed([of_backlog(2, task(1), tombstone=True)])
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 3, NOW_MS)
    assert bench.spool.get(task(1).lane, 1) is None
    assert bench.receivers.sequences() == [1, 2]


async def test_what_the_spool_could_not_take_is_not_passed_over() -> None:
    """Fault 17, disk full: whatever comes after a refused batch, its records are read again."""
    bench = await Bench().own()
    bench.full_spool.full = True
    with contextlib.suppress(OSError):
        bench.retrier.consumed([of_backlog(0, task(1))])
    bench.full_spool.full = False
    with contextlib.suppress(OSError):
        bench.retrier.consumed([of_backlog(1, task(2))])
    bench.retrier._remember()
    bench.retrier._keep_alive()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 0, NOW_MS)


async def test_a_tiers_record_moves_no_checkpoint() -> None:
    """Rule 7: the checkpoint is of the backlog; tickets are committed to the group."""
    bench = await Bench().own()
    bench.retrier.consumed([of_tier(0, ticket(task(1), 1, NEVER_MS))])
    bench.retrier._remember()
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 0, NOW_MS)
    assert bench.spool.first_open_ticket(0, "5s") == 0


async def test_tiers_are_committed_only_past_tickets_that_are_used_up() -> None:
    """Rule 7: the lowest open ticket is where the next owner begins to read."""
    bench = await Bench().own()
    of = task(1)
    bench.retrier.consumed([of_backlog(0, of)])
    open_ticket = of_tier(4, ticket(of, 2, NEVER_MS))
    bench.retrier.consumed([of_tier(3, ticket(of, 1, NEVER_MS)), open_ticket])
    bench.retrier.consumed([of_tier(5, ticket(of, 1, NEVER_MS))])
    bench.retrier.consumed([of_tier(9, ticket(of, 0, NEVER_MS), SLOW)])
    bench.retrier._commit_tiers()
    assert bench.source.commits == [{FAST: 4, SLOW: 10}]
    bench.retrier._commit_tiers()
    assert len(bench.source.commits) == 1


async def test_nothing_is_committed_by_one_that_may_have_been_taken_for_dead() -> None:
    """Self-fencing: a commit of a membership that is over would end the consumer for good."""
    bench = await Bench().own()
    bench.retrier.reached_end(SLOW, 17)
    bench.clock.seconds = 60.0
    bench.retrier._commit_tiers()
    assert bench.source.commits == []
    bench.retrier.polled(60.0)
    bench.clock.seconds = 61.0
    bench.retrier._commit_tiers()
    assert bench.source.commits == [{SLOW: 17}]


async def test_used_up_when_its_task_is_resolved() -> None:
    """Rule 7: a resolved task's ticket holds nothing back any more."""
    bench = await Bench().own()
    of = task(1, attempts=1, due_ms=NEVER_MS)
    bench.retrier.consumed([of_backlog(0, of), of_tier(0, ticket(of, 2, NEVER_MS))])
    bench.retrier._commit_tiers()
    assert bench.source.commits == []
    bench.retrier.consumed([of_backlog(1, of, tombstone=True)])
    bench.retrier._commit_tiers()
    assert bench.source.commits == [{FAST: 1}]


async def test_ends_move_the_commit_past_what_compaction_or_markers_left_out() -> None:
    """An end is a position like a record's."""
    bench = await Bench().own()
    bench.retrier.reached_end(SLOW, 17)
    bench.retrier._commit_tiers()
    assert bench.source.commits == [{SLOW: 17}]


async def test_offsets_and_checkpoints_that_do_not_move_are_kept_alive() -> None:
    """Rule 7: committed again at least daily, and the checkpoint stays younger than its limit."""
    bench = await Bench().own()
    bench.retrier.reached_end(SLOW, 17)
    bench.retrier._commit_tiers()
    bench.clock.ms += 3_600_000
    bench.retrier._keep_alive()
    assert bench.source.commits == [{SLOW: 17}, {SLOW: 17}]
    assert bench.spool.checkpoint(0) == Checkpoint(0, "T", 0, bench.clock.ms)


async def test_halted_lanes_of_a_subscription_made_again_are_discarded_by_and_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Section 6: nothing asks for them, so the service goes round."""
    monkeypatch.setattr(service, "_HALTED_S", 0.001)
    bench = await Bench().own()
    bench.retrier.consumed([of_backlog(0, task(1, halted=True))])
    bench.book.put(uid="another", offset=1)
    bench.retrier.start(bench.source)
    await until(lambda: "backlog" in bench.writer.topics())


async def test_strays_are_used_up_once_the_backlog_is_read_far_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rule 8: an end asked for after the ticket came, and reached, shows that its task is gone."""
    monkeypatch.setattr(service, "_STRAYS_S", 0.001)
    monkeypatch.setattr(service, "_TICK_S", 0.001)
    bench = await Bench().own()
    bench.answers.end = 5
    bench.retrier.consumed([of_tier(0, ticket(task(1), 1, NEVER_MS))])
    bench.answers.asked.clear()
    bench.retrier.start(bench.source)
    await until(lambda: len(bench.answers.asked) > 3)
    assert bench.spool.first_open_ticket(0, "5s") == 0
    bench.retrier.reached_end(PLACE, 5)
    await until(lambda: bench.spool.first_open_ticket(0, "5s") is None)
    await bench.retrier.stop(0.0)


async def test_what_becomes_due_is_found_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 8: when due, without any event; and the gauges tell how much waits, how old."""
    monkeypatch.setattr(service, "_TICK_S", 0.001)
    bench = await Bench().own()
    of = task(1, attempts=1, due_ms=NOW_MS + 5_000)
    bench.retrier.consumed([of_backlog(0, of)])
    bench.retrier.start(bench.source)
    await until(lambda: bench.metrics.backlog_tasks._value.get() == 1)
    age_s = (NOW_MS - of.event.timestamp_ms) / 1000
    assert bench.metrics.oldest_undelivered._value.get() == age_s
    assert bench.receivers.started == []
    bench.clock.ms = NOW_MS + 5_000
    await until(lambda: bench.receivers.sequences() == [1])
    bench.receivers.end(of, DELIVERED)
    await bench.retrier.stop(0.0)


async def test_stop_ends_attempts_then_commits_then_leaves() -> None:
    """SIGTERM: let attempts in flight end, commit, leave the group."""
    bench = await Bench().own()
    of = task(1)
    bench.retrier.start(bench.source)
    bench.retrier.consumed([of_backlog(0, of), of_tier(0, ticket(task(9), 1, NOW_MS), SLOW)])
    bench.retrier.reached_end(FAST, 3)
    stopping = asyncio.create_task(bench.retrier.stop(60.0))
    await asyncio.sleep(0)
    assert bench.source.told == ["start"]
    bench.receivers.end(of, DELIVERED)
    await asyncio.wait_for(stopping, 5)
    assert bench.source.told == ["start", "commit", "stop"]
    assert bench.source.commits == [{FAST: 3}]
    assert bench.writer.topics() == ["attempts", "backlog"]


async def test_polls_open_the_fence() -> None:
    """Self-fencing: the fence goes by the polls of this group."""
    bench = await Bench().own()
    bench.clock.seconds = 60.0
    assert not bench.around.fence.is_open(60.0)
    bench.retrier.polled(60.0)
    assert bench.around.fence.is_open(60.5)


async def test_a_consumer_that_failed_fails_the_retrier_once() -> None:
    """The first reason is the one that is told."""
    bench = await Bench().own()
    bench.retrier.failed("first")
    bench.retrier.failed("second")
    assert bench.retrier.failure.result() == "first"


async def test_a_revocation_lets_go() -> None:
    """Nothing of a revoked partition is attempted here any more."""
    bench = await Bench().own()
    await asyncio.wait_for(bench.retrier.revoke([PLACE]), 5)
    bench.redirect(task(1, "late"))
    bench.step()
    assert bench.spool.first(lane_id("late")) is not None
    assert bench.receivers.started == []


async def test_a_transaction_of_unknown_end_begins_everything_anew() -> None:
    """Rule 3: the work is dropped, the transaction ended, and only then the group joined again."""
    bench = await Bench().own()
    bench.retrier.consumed([of_backlog(0, task(1))])
    assert bench.retrier.position(0) == 1
    ended = asyncio.Event()

    async def reopen() -> None:
        await ended.wait()

    bench.retrier.drop_all(reopen)
    bench.retrier.drop_all(reopen)
    assert bench.receivers.started[0].cancelled
    assert "revoked [0]" in bench.watching.told
    assert bench.source.told == []
    ended.set()
    await until(lambda: bench.source.told == ["rejoin"])


async def test_a_client_that_does_not_come_back_from_ending_a_transaction_ends_the_service() -> (
    None
):
    """Rule 3: it owns nothing and would not join again; its sentence says that a new process has
    to."""
    bench = await Bench().own()

    async def reopen() -> None:
        raise StuckError("Kafka's client has not come back.")

    bench.retrier.drop_all(reopen)
    assert await asyncio.wait_for(bench.retrier.failure, 5) == "Kafka's client has not come back."
    assert bench.source.told == []


async def test_a_fault_in_what_is_done_now_and_then_ends_the_service() -> None:
    """Without its ticks nothing that becomes due would be looked for, and nobody would know."""
    bench = await Bench().own()

    def broken() -> int:
        raise OSError("no such device")

    bench.spool.tasks = broken  # type: ignore[method-assign]
    bench.retrier.start(bench.source)
    assert "no such device" in await asyncio.wait_for(bench.retrier.failure, 5)
    await bench.retrier.stop(0.0)
