"""The fan-out wired together: from a record to its commit, with the outside as the test says."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from hooklane.fanout.commit import Pace
from hooklane.fanout.delivery import Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.match import Matcher
from hooklane.fanout.ownership import Offsets, Restorer
from hooklane.fanout.redirect import Share
from hooklane.fanout.restore import LaneLine, LaneRestorer, Restored
from hooklane.fanout.service import FanOut, Limits, Outside
from hooklane.fanout.subscribed import Subscribed
from hooklane.fanout.window import Window
from hooklane.fanout.writer import CommitResult
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed, Start
from hooklane.runtime.transactions import StuckError
from hooklane.schemas.book import BookChange, ChangeKind
from hooklane.schemas.codec import LANES
from hooklane.schemas.lane import LaneId, LaneNamer
from hooklane.schemas.records import LaneRecord
from hooklane.schemas.topics import blocked_key, released_key
from tests.support.fanout_facts import (
    ACCEPTED,
    BLOCKED,
    BROKEN,
    Attempts,
    HandClock,
    Progress,
    counted,
    entry,
    process,
    rules,
    settled_loop,
    until,
)

ONE, TWO = Assigned("orders", 0), Assigned("orders", 1)
PLACE = Place("orders", "T", 0)
LIMITS = Limits(
    max_in_flight=10,
    share=5,
    patience_s=2.0,
    window=Window(64, 1 << 20, 1000),
    pace=Pace(0.02, 100),
    revoke_grace_s=0.1,
    shutdown_grace_s=0.1,
)


def record(offset: int, key: bytes = b"k", number: int = 0) -> Consumed:
    return Consumed("orders", number, offset, 1_000, key, b"{}", [])


class Source:
    """Stands for the poll thread."""

    def __init__(self, owner: FanOut) -> None:
        self.owner = owner
        self.metadata: bytes | None = b"metadata"
        self.polls = 1
        self.said: list[object] = []

    def start(self) -> None:
        self.said.append("start")

    def pause(self, partitions: Sequence[Assigned]) -> None:
        self.said.append(("pause", list(partitions)))

    def resume(self, partitions: Sequence[Assigned]) -> None:
        self.said.append(("resume", list(partitions)))

    def rejoin(self) -> None:
        self.said.append("rejoin")

    async def stop(self) -> None:
        self.said.append("stop")
        await self.owner.revoke([ONE, TWO])


class World:
    """Kafka as the fan-out sees it."""

    def __init__(self) -> None:
        self.restored_ = Restored(LaneTable(), None)
        self.may_restore = asyncio.Event()
        self.may_restore.set()
        self.committed = 0
        self.earliest = 0
        self.released: Callable[[Place, LaneId, int], None] | None = None
        self.written: list[Share] = []
        self.results: deque[CommitResult | Exception] = deque()
        self.may_reopen = asyncio.Event()
        self.may_reopen.set()
        self.reopened = 0
        self.reopening_fails: Exception | None = None

    async def topic_id(self, topic: str) -> str:
        return "T"

    async def offsets(self, partition: Assigned) -> Offsets:
        return Offsets(self.committed, self.earliest, 1_000)

    async def restore(self, place: Place) -> Restored:
        await self.may_restore.wait()
        return Restored(LaneTable(), None) if place != PLACE else self.restored_

    def forget(self, place: Place) -> None:
        self.restored_ = Restored(LaneTable(), None)

    async def reopen(self) -> None:
        self.reopened += 1
        await self.may_reopen.wait()
        if self.reopening_fails is not None:
            raise self.reopening_fails

    async def write(self, shares: Sequence[Share], metadata: bytes) -> CommitResult:
        result = self.results.popleft() if self.results else CommitResult.COMMITTED
        if isinstance(result, Exception):
            raise result
        if result is CommitResult.COMMITTED:
            self.written.extend(shares)
        return result


Restoring = Callable[[Callable[[Place, LaneId, int], None]], Restorer]


class Stage:
    def __init__(self, restoring: Restoring | None = None) -> None:
        self.clock, self.world, self.attempts = HandClock(), World(), Attempts()
        self.progress = Progress()
        self.process = process(self.clock, self.progress)
        self.sources: list[Source] = []
        subscribed = Subscribed(Matcher())
        subscribed.follow(BookChange(ChangeKind.ADDED, "s", entry=entry("s")))
        self.fanout = FanOut(
            self.process,
            Outside(
                source=self._source,
                restorer=restoring or self._restorer,
                topics=self.world,
                attempts=self.attempts,
                write=self.world.write,
                reopen=self.world.reopen,
            ),
            subscribed,
            rules(),
            LIMITS,
        )
        (self.source,) = self.sources

    def _source(self, owner: FanOut) -> Source:
        self.sources.append(Source(owner))
        return self.sources[-1]

    def _restorer(self, released: Callable[[Place, LaneId, int], None]) -> Restorer:
        self.world.released = released
        return self.world

    async def owns(self, *names: Assigned) -> None:
        self.fanout.assigned(names)
        await until(lambda: len(self.process.owned) == len(names))
        self.source.said.clear()

    @property
    def lane(self) -> LaneId:
        """Of the key `k`."""
        return LaneNamer("g", "s", "u", "T", 0).lane(b"k")

    @property
    def redirected(self) -> list[int]:
        return [one.delivery.sequence for share in self.world.written for one in share.redirects]


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    stage.fanout.start()
    try:
        yield stage
    finally:
        await stage.fanout.stop()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with running(Stage()) as started:
        yield started


async def test_from_a_record_to_its_commit(stage: Stage) -> None:
    """Rules 1, 2 and 4: consumed, matched, attempted, settled, committed."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(0), record(1)])
    assert stage.attempts.sequences == [0]
    stage.attempts.begun[0].end(ACCEPTED)
    assert stage.attempts.sequences == [0, 1]
    stage.attempts.begun[1].end(BROKEN)
    await until(lambda: stage.world.written and stage.world.written[-1].offset == 2)
    assert stage.redirected == [1]


async def test_behind_a_refusal_the_lane_goes_on_when_its_letter_is_committed(
    stage: Stage,
) -> None:
    """Promise of order: a dead letter resolves its delivery when it is in Kafka."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(0), record(1)])
    stage.attempts.begun[0].end(BLOCKED)
    assert stage.attempts.sequences == [0]
    await until(lambda: stage.attempts.sequences == [0, 1])
    assert [one.offset for share in stage.world.written for one in share.dead_letters] == [0]


async def test_partitions_start_paused_at_what_is_committed(stage: Stage) -> None:
    """Rule 5: nothing is fetched of a partition before it is restored."""
    assert await stage.fanout.starts([ONE, TWO]) == [
        Start(ONE, None, paused=True),
        Start(TWO, None, paused=True),
    ]


async def test_the_first_event_comes_after_the_restore(stage: Stage) -> None:
    """Rule 5: the partition is resumed when it is restored, and not before."""
    stage.world.may_restore.clear()
    stage.fanout.assigned([ONE])
    await settled_loop()
    assert ("resume", [ONE]) not in stage.source.said
    stage.world.may_restore.set()
    await until(lambda: ("resume", [ONE]) in stage.source.said)
    assert stage.process.owned.named(ONE) is not None


async def test_a_full_window_pauses_and_goes_on(stage: Stage) -> None:
    """Rule 4: bounded by pausing the partition."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(offset, b"%d" % offset) for offset in range(64)])
    assert stage.source.said == [("pause", [ONE])]
    for which in range(64):
        await until(lambda which=which: len(stage.attempts.begun) > which)  # type: ignore[misc]
        stage.attempts.begun[which].end(ACCEPTED)
    assert stage.source.said == [("pause", [ONE]), ("resume", [ONE])]


async def test_redirects_make_room_too(stage: Stage) -> None:
    """Rule 4: a redirect is settled when it is taken into a transaction, so the window opens."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(offset) for offset in range(64)])
    assert stage.source.said == [("pause", [ONE])]
    stage.attempts.begun[0].end(BROKEN)
    await until(lambda: ("resume", [ONE]) in stage.source.said)
    assert len(stage.attempts.begun) == 1


async def test_when_a_partition_goes_the_others_have_its_room(stage: Stage) -> None:
    """Rule 4: the bounds are shared out among the partitions that are here now."""
    await stage.owns(ONE, TWO)
    stage.fanout.consumed([record(offset) for offset in range(32)])
    assert stage.source.said == [("pause", [ONE])]
    stage.fanout.lost([TWO])
    await until(lambda: ("resume", [ONE]) in stage.source.said)


async def test_no_events_while_a_subscription_cannot_be_understood(stage: Stage) -> None:
    """Section 6: an old binary skips nothing: partitions rest, also one that is restored now."""
    await stage.owns(ONE)
    stage.fanout.take_no_events()
    assert stage.source.said == [("pause", [ONE])]
    stage.fanout.assigned([TWO])
    await until(lambda: ("resume", [TWO]) in stage.source.said)
    await settled_loop()
    assert stage.source.said[-1] == ("pause", [TWO])
    stage.source.said.clear()
    stage.fanout.take_events()
    assert sorted(map(str, stage.source.said)) == sorted(
        [str(("resume", [ONE])), str(("resume", [TWO]))]
    )


# Releases.


async def test_a_release_opens_the_lane_and_is_answered_by_tombstones(stage: Stage) -> None:
    """Rule 5: two tombstones in the next transaction; the next delivery is attempted again."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(0)])
    stage.attempts.begun[0].end(BROKEN)
    await until(lambda: stage.redirected == [0])
    stage.fanout.consumed([record(1)])
    assert stage.attempts.sequences == [0]
    await until(lambda: stage.redirected == [0, 1])
    assert stage.world.released is not None
    stage.world.released(PLACE, stage.lane, 0)
    stage.fanout.consumed([record(2)])
    assert stage.attempts.sequences == [0]
    await until(lambda: stage.redirected == [0, 1, 2])
    stage.world.released(PLACE, stage.lane, 2)
    await until(lambda: stage.world.written[-1].tombstones)
    assert stage.world.written[-1].tombstones == (stage.lane,)
    stage.fanout.consumed([record(3)])
    assert stage.attempts.sequences == [0, 3]


async def test_a_release_for_somebody_else_is_left_alone(stage: Stage) -> None:
    """Two event partitions may share a lanes partition: only the owner answers."""
    await stage.owns(ONE)
    assert stage.world.released is not None
    stage.world.released(Place("orders", "T", 1), stage.lane, 5)
    await asyncio.sleep(0.1)
    assert stage.world.written == []


async def test_a_release_right_behind_the_end_of_a_restore_is_not_forgotten() -> None:
    """Rule 5: releases arrive by tailing, from the very record at which the restore ended."""
    logs: list[LaneRestorer] = []

    class Log:
        def read_from_start(self, partition: int) -> int:
            return 1

        def stop_reading(self, partition: int) -> None:
            pass

    async def high_watermark(partition: int) -> int:
        return 1

    def restoring(released: Callable[[Place, LaneId, int], None]) -> Restorer:
        logs.append(LaneRestorer(Log(), "g", 12, high_watermark, released))
        return logs[0]

    async with running(Stage(restoring)) as stage:
        value = LANES.encode(LaneRecord(3, "g", "orders", "T", 0, "s", "u", b"k", 0))
        stage.fanout.assigned([ONE])
        await settled_loop()
        logs[0].read(0, 1, [LaneLine(0, blocked_key(stage.lane), value)])
        # As the tail's thread tells it while the event loop is busy: both in one turn.
        loop = asyncio.get_running_loop()
        loop.call_soon(logs[0].reached_end, 0, 1, 1)
        loop.call_soon(logs[0].read, 0, 1, [LaneLine(1, released_key(stage.lane), value)])
        await until(lambda: len(stage.process.owned) == 1)
        await settled_loop()
        (one,) = stage.process.owned
        assert not one.lanes.is_blocked(stage.lane)


# What drops everything.


async def test_an_unknown_outcome_begins_anew(stage: Stage) -> None:
    """Rule 3: attempts in flight are cut off, all partitions let go, and the group joined anew;
    then the same events are delivered again."""
    await stage.owns(ONE, TWO)
    stage.world.results.append(CommitResult.UNKNOWN)
    stage.fanout.consumed([record(0, b"a"), record(1, b"b")])
    stage.attempts.begun[0].end(BROKEN)
    await until(lambda: "rejoin" in stage.source.said)
    assert len(stage.process.owned) == 0
    assert stage.attempts.begun[1].cancelled
    assert ("revoked", [ONE, TWO]) in stage.progress.said
    await stage.owns(ONE)
    stage.fanout.consumed([record(0, b"a")])
    assert stage.attempts.sequences == [0, 1, 0]
    assert stage.world.written == []


async def test_what_was_left_open_is_ended_before_the_group_is_joined_anew(stage: Stage) -> None:
    """Rule 3: while a transaction is open nobody is told what is committed; the work is dropped
    at once, and the group is joined anew once, however often this happens meanwhile."""
    await stage.owns(ONE)
    stage.world.may_reopen.clear()
    stage.fanout.consumed([record(1)])
    stage.fanout.consumed([record(0)])
    assert len(stage.process.owned) == 0
    await settled_loop()
    await stage.owns(TWO)
    stage.fanout.consumed([record(1, number=1)])
    stage.fanout.consumed([record(0, number=1)])
    await settled_loop()
    assert "rejoin" not in stage.source.said
    stage.world.may_reopen.set()
    await until(lambda: "rejoin" in stage.source.said)
    await settled_loop()
    assert (stage.source.said.count("rejoin"), stage.world.reopened) == (1, 1)


async def test_a_client_that_does_not_come_back_from_ending_a_transaction_ends_the_service(
    stage: Stage,
) -> None:
    """Rule 3: it owns nothing and would not join again; its sentence says that a new process has
    to."""
    await stage.owns(ONE)
    stage.world.reopening_fails = StuckError("Kafka's client has not come back.")
    stage.fanout.consumed([record(1)])
    stage.fanout.consumed([record(0)])
    assert await asyncio.wait_for(stage.fanout.failure, 5) == "Kafka's client has not come back."
    assert "rejoin" not in stage.source.said


async def test_offsets_that_go_back_drop_everything(stage: Stage) -> None:
    """Faults 9: the log is another one than before, so nothing that is here is certain."""
    await stage.owns(ONE, TWO)
    stage.fanout.consumed([record(0), record(0, number=1)])
    stage.fanout.consumed([record(0)])
    assert [one.cancelled for one in stage.attempts.begun] == [True, True]
    assert len(stage.process.owned) == 0
    await until(lambda: "rejoin" in stage.source.said)


async def test_what_came_in_the_same_batch_is_dropped_with_the_rest(stage: Stage) -> None:
    """Faults 9: a batch in which offsets go back leaves nothing behind."""
    await stage.owns(ONE, TWO)
    stage.fanout.consumed([record(5, number=1)])
    with suppress(KeyError):
        stage.fanout.consumed([record(0), record(3, number=1)])
    assert len(stage.process.owned) == 0
    await stage.owns(ONE)
    before = len(stage.attempts.begun)
    stage.fanout.consumed([record(0)])
    assert len(stage.attempts.begun) == before + 1


async def test_missing_offsets_are_looked_at(stage: Stage) -> None:
    """Section 3: events that expired before they were read are counted; what is there goes on."""
    await stage.owns(ONE)
    stage.world.earliest = 7
    stage.fanout.consumed([record(7)])
    assert stage.attempts.sequences == [7]
    await until(lambda: counted(stage.process.metrics, "expired_events_total") == 7)


async def test_a_loss_is_passed_on(stage: Stage) -> None:
    """Rule 6: what the poll thread says is lost is cut off."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(0)])
    stage.fanout.lost([ONE])
    assert stage.attempts.begun[0].cancelled
    assert len(stage.process.owned) == 0


async def test_a_revocation_commits_what_is_settled(stage: Stage) -> None:
    """Rule 6: what ended in the grace is written before the callback returns."""
    await stage.owns(ONE)
    stage.fanout.consumed([record(0)])
    revoke = asyncio.create_task(stage.fanout.revoke([ONE]))
    await settled_loop()
    stage.attempts.begun[0].end(ACCEPTED)
    await revoke
    assert stage.world.written[-1].offset == 1


# The fence, and what is measured.


async def test_work_goes_on_when_the_fence_opens(stage: Stage) -> None:
    """Self-fencing: what came while it was closed starts by itself afterwards."""
    await stage.owns(ONE)
    stage.clock.now += 4.0
    stage.fanout.consumed([record(0)])
    await asyncio.sleep(0.25)
    assert stage.attempts.begun == []
    stage.fanout.polled(stage.clock.now)
    stage.clock.now += 0.5
    stage.fanout.polled(stage.clock.now)
    await until(lambda: stage.attempts.begun)


async def test_what_is_here_is_measured(stage: Stage) -> None:
    """Section 7: blocked lanes, the age of the oldest undelivered event, the open deliveries."""
    metrics = stage.process.metrics
    await stage.owns(ONE)
    stage.fanout.consumed([record(0, b"a"), record(1, b"b"), record(2, b"c")])
    stage.attempts.begun[0].end(BROKEN)
    stage.clock.wall = 61_000
    await until(lambda: counted(metrics, "lanes_blocked") == 1)
    await until(lambda: counted(metrics, "oldest_undelivered_seconds") == 60)
    labels = {"topic": "orders", "partition": "0"}
    await until(lambda: counted(metrics, "window_events", **labels) == 2)
    for which in (1, 2):
        stage.attempts.begun[which].end(ACCEPTED)
    await until(lambda: counted(metrics, "oldest_undelivered_seconds") == 0)
    await until(lambda: counted(metrics, "window_events", **labels) == 0)


async def test_the_log_is_told_what_was_committed(stage: Stage) -> None:
    """Nothing has happened until it is written, and then it is one line."""
    stage.world.results.append(CommitResult.ABORTED)
    await stage.owns(ONE)
    with capture_logs() as lines:
        stage.fanout.consumed([record(0), record(1)])
        stage.attempts.begun[0].end(BROKEN)
        await until(lambda: not stage.world.results)
        assert lines == []
        stage.source.polls += 1
        await until(lambda: lines)
    assert [(line["event"], line["sequence"]) for line in lines] == [("lane.blocked", 0)]


# The end.


async def test_stopping_takes_no_more_and_commits() -> None:
    """SIGTERM: pause, let attempts end, and only then leave the group, with a last commit."""
    stage = Stage()
    stage.fanout.start()
    await stage.owns(ONE)
    stage.fanout.consumed([record(0, b"a"), record(1, b"b")])
    stop = asyncio.create_task(stage.fanout.stop())
    await settled_loop()
    assert stage.source.said == [("pause", [ONE])]
    stage.fanout.consumed([record(2, b"c")])
    stage.attempts.begun[0].end(ACCEPTED)
    await stop
    assert stage.attempts.sequences == [0, 1]
    assert stage.attempts.begun[1].cancelled
    assert stage.source.said[1] == "stop"
    assert stage.world.written[-1].offset == 1
    assert len(stage.process.owned) == 0


async def test_the_first_failure_is_the_one_that_is_told(stage: Stage) -> None:
    """What follows from a failure must not hide it."""
    stage.fanout.failed("the cause")
    stage.fanout.failed("a consequence")
    assert stage.fanout.failure.result() == "the cause"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_commit_loop_that_dies_ends_the_process(stage: Stage) -> None:
    """A process that cannot commit helps nobody: the same as for a restore that fails."""
    await stage.owns(ONE)
    stage.world.results.append(RuntimeError("a bug"))
    stage.fanout.consumed([record(0)])
    stage.attempts.begun[0].end(BROKEN)
    await until(lambda: not stage.world.results)
    await settled_loop()
    assert stage.fanout.failure.done()
