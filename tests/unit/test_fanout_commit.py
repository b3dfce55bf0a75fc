"""The committer: when a transaction is written, and what follows from how it ended."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from hooklane.fanout.commit import Committer, Pace
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.redirect import Redirect, Share
from hooklane.fanout.settle import Settler
from hooklane.fanout.writer import CommitResult
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.records import DeadLetterReason
from tests.support.fanout_facts import (
    TIERS,
    HandClock,
    counted,
    delivery,
    partition,
    process,
    settled_loop,
    until,
)

COMMITTED, ABORTED, UNKNOWN = CommitResult.COMMITTED, CommitResult.ABORTED, CommitResult.UNKNOWN
OLD, FRESH = b"old metadata", b"fresh metadata"
SUBSCRIBER = delivery(0).subscriber


class Group:
    def __init__(self) -> None:
        self.metadata: bytes | None = OLD
        self.polls = 1

    def polled(self, metadata: bytes | None = FRESH) -> None:
        self.metadata, self.polls = metadata, self.polls + 1


class Log:
    """Ends transactions as the test says: well, if it says nothing."""

    def __init__(self) -> None:
        self.written: list[tuple[list[Share], bytes]] = []
        self.results: deque[CommitResult] = deque()
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def write(self, shares: Sequence[Share], metadata: bytes) -> CommitResult:
        self.written.append((list(shares), metadata))
        await self.may_end.wait()
        return self.results.popleft() if self.results else COMMITTED

    @property
    def offsets(self) -> list[list[tuple[int, int]]]:
        """(partition, offset) of each share of each transaction."""
        return [[(one.place.partition, one.offset) for one in shares] for shares, _ in self.written]


class Stage:
    """A committer over partitions, of which each holds the events that `admit` brings."""

    def __init__(
        self, *partitions: EventPartition, interval_s: float = 0.05, max_redirects: int = 100
    ) -> None:
        self.clock = HandClock()
        self.process = process(self.clock)
        for one in partitions:
            self.process.owned.add(one)
        self.group, self.log = Group(), Log()
        self.said: list[str] = []
        self.told: list[Share] = []
        self.committer = Committer(
            self.process,
            self.group,
            self.log.write,
            Pace(interval_s, max_redirects),
            self._committed,
            self._unknown,
        )

    def _committed(self, shares: Sequence[Share]) -> None:
        self.said.append("committed")
        self.told.extend(shares)

    def _unknown(self) -> None:
        self.said.append("unknown")
        for one in list(self.process.owned):
            self.lose(one)

    def lose(self, one: EventPartition) -> None:
        self.process.owned.remove(Assigned(one.place.topic, one.place.partition))

    def settle(self, one: EventPartition) -> None:
        """The next event comes in and is delivered."""
        offset = one.ledger.position
        one.ledger.admit(offset, [SUBSCRIBER])
        one.draft.settle(delivery(offset, place=one.place))
        self.committer.changed(one)

    def redirect(self, one: EventPartition) -> None:
        """The next event comes in and goes to the backlog."""
        offset = one.ledger.position
        one.ledger.admit(offset, [SUBSCRIBER])
        one.draft.redirect(Redirect(delivery(offset, place=one.place)))
        self.committer.changed(one)

    def give_up(self, one: EventPartition) -> None:
        """The next event comes in and becomes a dead letter."""
        offset = one.ledger.position
        one.ledger.admit(offset, [SUBSCRIBER])
        of = delivery(offset, place=one.place)
        letter = Settler("g", TIERS).letter(of, DeadLetterReason.DISABLED, None, 0)
        one.draft.give_up(SUBSCRIBER, letter)
        self.committer.changed(one)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.committer.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def count(self, outcome: str) -> float:
        return counted(self.process.metrics, "transactions_total", outcome=outcome)


async def test_nothing_to_write_is_no_transaction() -> None:
    """Rule 4: an idle process writes nothing."""
    stage = Stage(partition())
    assert await stage.committer.commit() is COMMITTED
    assert (stage.log.written, stage.said) == ([], [])


async def test_all_partitions_are_one_transaction() -> None:
    """Rule 3: the shares of all partitions, with the metadata of the last poll."""
    one, two = partition(0), partition(1)
    stage = Stage(one, two)
    stage.settle(one)
    stage.redirect(two)
    assert await stage.committer.commit() is COMMITTED
    assert stage.log.offsets == [[(0, 1), (1, 1)]]
    assert stage.log.written[0][1] == OLD
    assert stage.said == ["committed"]
    assert await stage.committer.commit() is COMMITTED
    assert len(stage.log.written) == 1


@pytest.mark.parametrize("last", [False, True])
async def test_nothing_is_written_while_the_fence_is_closed(last: bool) -> None:
    """Self-fencing: no redirect without a poll of late, also not in a revocation."""
    one = partition()
    stage = Stage(one)
    stage.redirect(one)
    stage.clock.now += 3.0
    assert await stage.committer.commit(last=last) is None
    assert stage.log.written == []
    stage.process.fence.polled(stage.clock.now)
    assert await stage.committer.commit(last=last) is COMMITTED


@pytest.mark.parametrize("last", [False, True])
async def test_nothing_is_written_without_metadata(last: bool) -> None:
    """The broker does not check metadata with a negative generation: without any, no write."""
    one = partition()
    stage = Stage(one)
    stage.redirect(one)
    stage.group.metadata = None
    assert await stage.committer.commit(last=last) is None
    assert stage.log.written == []


async def test_after_an_abort_the_very_same_shares_again_with_fresh_metadata() -> None:
    """Rule 3: the same content, whatever has come since, and not before the next poll."""
    one = partition()
    stage = Stage(one)
    stage.log.results.append(ABORTED)
    stage.redirect(one)
    assert await stage.committer.commit() is ABORTED
    stage.settle(one)
    assert await stage.committer.commit() is None
    assert len(stage.log.written) == 1
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    (first, old), (second, fresh) = stage.log.written
    assert second[0] is first[0]
    assert stage.told == first
    assert (old, fresh) == (OLD, FRESH)
    assert await stage.committer.commit() is COMMITTED
    assert stage.log.offsets == [[(0, 1)], [(0, 1)], [(0, 2)]]
    assert (stage.count("aborted"), stage.count("committed")) == (1, 2)


async def test_aborted_again_and_again_nothing_is_lost() -> None:
    """Each abort waits for a poll of its own."""
    one = partition()
    stage = Stage(one)
    stage.log.results.extend([ABORTED] * 3)
    stage.redirect(one)
    for _ in range(3):
        assert await stage.committer.commit() is ABORTED
        assert await stage.committer.commit() is None
        stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    assert stage.log.offsets == [[(0, 1)]] * 4


async def test_after_an_abort_not_without_metadata() -> None:
    """If the next poll says that this process is no member, the shares wait."""
    one = partition()
    stage = Stage(one)
    stage.log.results.append(ABORTED)
    stage.redirect(one)
    await stage.committer.commit()
    stage.group.polled(metadata=None)
    assert await stage.committer.commit() is None
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED


async def test_shares_of_partitions_that_have_gone_are_dropped() -> None:
    """Rule 6: what belonged to a lost partition is dropped, never redirected."""
    one, two = partition(0), partition(1)
    stage = Stage(one, two)
    stage.log.results.append(ABORTED)
    stage.redirect(one)
    stage.redirect(two)
    await stage.committer.commit()
    stage.lose(one)
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    assert stage.log.offsets == [[(0, 1), (1, 1)], [(1, 1)]]


async def test_shares_of_an_earlier_assignment_are_dropped() -> None:
    """A partition that went and came back begins at what is committed: its old share is void."""
    old = partition(0)
    stage = Stage(old)
    stage.log.results.append(ABORTED)
    stage.redirect(old)
    await stage.committer.commit()
    stage.lose(old)
    stage.process.owned.add(partition(0))
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    assert len(stage.log.written) == 1


async def test_unknown_drops_all() -> None:
    """Rule 3: fenced or unknown: the shares are void and the owner is told to begin anew."""
    one, two = partition(0), partition(1)
    stage = Stage(one, two)
    stage.log.results.append(UNKNOWN)
    stage.redirect(one)
    stage.redirect(two)
    assert await stage.committer.commit() is UNKNOWN
    assert (stage.said, stage.count("unknown")) == (["unknown"], 1)
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    assert len(stage.log.written) == 1


async def test_unknown_voids_the_shares_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether they were written: they are not written again, whatever is owned."""
    one = partition()
    stage = Stage(one)
    monkeypatch.setattr(stage, "lose", lambda _: None)
    stage.log.results.append(UNKNOWN)
    stage.redirect(one)
    await stage.committer.commit()
    stage.group.polled()
    assert await stage.committer.commit() is COMMITTED
    assert len(stage.log.written) == 1


async def test_what_is_counted_is_what_was_committed() -> None:
    """A redirect that is written twice because of an abort is one redirect."""
    one = partition()
    stage = Stage(one)
    stage.log.results.append(ABORTED)
    stage.redirect(one)
    stage.give_up(one)
    await stage.committer.commit()
    assert counted(stage.process.metrics, "redirects_total") == 0
    stage.group.polled()
    await stage.committer.commit()
    assert counted(stage.process.metrics, "redirects_total") == 1
    assert counted(stage.process.metrics, "dead_letters_total") == 1
    metrics, wall_s = stage.process.metrics, stage.process.clock.wall_ms() / 1000
    assert counted(metrics, "subscription_dead_letters_total", subscription="other") == 1
    assert counted(metrics, "last_progress_timestamp_seconds") == wall_s


async def test_one_transaction_at_a_time() -> None:
    """Rule 3: two commits at once are two transactions one after the other."""
    one = partition()
    stage = Stage(one)
    stage.log.may_end.clear()
    stage.settle(one)
    first = asyncio.create_task(stage.committer.commit())
    await settled_loop()
    stage.settle(one)
    second = asyncio.create_task(stage.committer.commit())
    await settled_loop()
    assert stage.log.offsets == [[(0, 1)]]
    stage.log.may_end.set()
    assert [await first, await second] == [COMMITTED, COMMITTED]
    assert stage.log.offsets == [[(0, 1)], [(0, 2)]]


# The loop.


async def test_many_deliveries_are_one_commit() -> None:
    """Rule 4: deliveries that simply succeed cost one transaction an interval."""
    one = partition()
    stage = Stage(one, interval_s=0.3)
    async with stage.running():
        for _ in range(10):
            stage.settle(one)
            await asyncio.sleep(0.001)
        await until(lambda: stage.log.written)
    assert stage.log.offsets == [[(0, 10)]]


@pytest.mark.parametrize("what", ["redirect", "give_up"])
async def test_what_is_urgent_does_not_wait_for_the_interval(what: str) -> None:
    """Others wait for a redirect or a dead letter, so it is written at once."""
    one = partition()
    stage = Stage(one, interval_s=3600)
    async with stage.running():
        stage.settle(one)
        await settled_loop()
        assert stage.log.written == []
        getattr(stage, what)(one)
        await until(lambda: stage.log.written)
    assert stage.log.offsets == [[(0, 2)]]


async def test_a_plain_delivery_waits_for_the_interval() -> None:
    """A delivery that succeeded is no reason to hurry."""
    one = partition()
    stage = Stage(one, interval_s=3600)
    async with stage.running():
        stage.settle(one)
        await asyncio.sleep(0.15)
        assert stage.log.written == []


async def test_after_something_urgent_a_plain_delivery_waits_again() -> None:
    """One redirect does not make everything after it urgent."""
    one = partition()
    stage = Stage(one, interval_s=3600)
    async with stage.running():
        stage.redirect(one)
        await until(lambda: stage.said)
        stage.settle(one)
        await asyncio.sleep(0.15)
        assert stage.log.offsets == [[(0, 1)]]


async def test_what_does_not_fit_follows_at_once() -> None:
    """More redirects than one transaction takes are several, in order, without an interval."""
    one = partition()
    stage = Stage(one, interval_s=3600, max_redirects=2)
    async with stage.running():
        for _ in range(5):
            stage.redirect(one)
        await until(lambda: len(stage.log.written) == 3)
    assert stage.log.offsets == [[(0, 2)], [(0, 4)], [(0, 5)]]


async def test_the_loop_goes_on_after_an_abort() -> None:
    """The loop tries again by itself once a poll has come, though nothing more has changed."""
    one = partition()
    stage = Stage(one, interval_s=3600)
    stage.log.results.append(ABORTED)
    async with stage.running():
        stage.redirect(one)
        await until(lambda: stage.log.written)
        await asyncio.sleep(0.1)
        assert len(stage.log.written) == 1
        stage.group.polled()
        await until(lambda: stage.said)
    assert stage.log.offsets == [[(0, 1)], [(0, 1)]]


async def test_what_was_settled_under_an_abort_follows_by_itself() -> None:
    """What came while an aborted share waited for its second try is not in it: it is written
    afterwards, though nothing more changes."""
    one = partition()
    stage = Stage(one)
    stage.log.results.append(ABORTED)
    async with stage.running():
        stage.redirect(one)
        await until(lambda: stage.log.written)
        stage.settle(one)
        await asyncio.sleep(0.1)
        stage.group.polled()
        await until(lambda: len(stage.said) > 1)
    assert stage.log.offsets == [[(0, 1)], [(0, 1)], [(0, 2)]]


async def test_the_loop_goes_on_when_the_fence_opens() -> None:
    """What could not be written while the fence was closed is written afterwards."""
    one = partition()
    stage = Stage(one, interval_s=3600)
    stage.clock.now += 3.0
    async with stage.running():
        stage.redirect(one)
        await asyncio.sleep(0.1)
        assert stage.log.written == []
        stage.process.fence.polled(stage.clock.now)
        await until(lambda: stage.said)
    assert stage.log.offsets == [[(0, 1)]]


async def test_a_poke_looks_at_everything() -> None:
    """What is in a draft without word of it is written at the next interval after a poke."""
    one = partition()
    stage = Stage(one)
    one.ledger.admit(0, ())
    async with stage.running():
        stage.committer.poke()
        await until(lambda: stage.log.written)
    assert stage.log.offsets == [[(0, 1)]]


# A revocation.


async def test_a_flush_writes_all_that_is_there() -> None:
    """Rule 6: commit what is settled before the callback returns, however many transactions."""
    one = partition()
    stage = Stage(one, max_redirects=2)
    for _ in range(19):
        stage.redirect(one)
    stage.settle(one)
    assert await stage.committer.flush([one]) is True
    assert stage.log.offsets == [[(0, offset)] for offset in range(2, 21, 2)]


async def test_a_flush_of_nothing_writes_nothing() -> None:
    """A partition without changes leaves at once."""
    one = partition()
    stage = Stage(one)
    assert await stage.committer.flush([one]) is True
    assert stage.log.written == []


async def test_a_flush_ends_the_transaction_that_is_open() -> None:
    """Rule 6: what was being written when the revocation came has ended when `flush` has."""
    one = partition()
    stage = Stage(one)
    stage.log.may_end.clear()
    stage.log.results.append(ABORTED)
    stage.redirect(one)
    first = asyncio.create_task(stage.committer.commit())
    await settled_loop()
    flush = asyncio.create_task(stage.committer.flush([one]))
    await settled_loop()
    assert not flush.done()
    stage.log.may_end.set()
    assert await flush is True
    assert await first is ABORTED
    assert stage.log.offsets == [[(0, 1)], [(0, 1)]]


async def test_a_flush_does_not_wait_for_a_poll_that_cannot_come() -> None:
    """The poll thread waits for us in a revocation, so an abort is tried again at once."""
    one = partition()
    stage = Stage(one)
    stage.log.results.extend([ABORTED, ABORTED])
    stage.redirect(one)
    assert await stage.committer.flush([one]) is True
    assert stage.log.offsets == [[(0, 1)]] * 3


async def test_a_flush_gives_up_in_the_end() -> None:
    """A partition that cannot be written is let go: its next owner begins at the last commit."""
    one = partition()
    stage = Stage(one)
    stage.log.results.extend([ABORTED] * 100)
    stage.redirect(one)
    assert await stage.committer.flush([one]) is False
    assert 1 < len(stage.log.written) <= 10


async def test_a_flush_whose_outcome_is_unknown_has_nothing_left() -> None:
    """Unknown drops everything, so nothing of the partition remains to be written."""
    one = partition()
    stage = Stage(one)
    stage.log.results.append(UNKNOWN)
    stage.redirect(one)
    await stage.committer.flush([one])
    assert (len(stage.log.written), stage.said) == (1, ["unknown"])


async def test_a_flush_ends_when_its_partition_has_gone() -> None:
    """What is left of a partition that was dropped on the way is nobody's any more."""
    one = partition()
    stage = Stage(one, max_redirects=1)
    stage.log.results.append(UNKNOWN)
    stage.redirect(one)
    stage.redirect(one)
    await asyncio.wait_for(stage.committer.flush([one]), 5.0)
    assert stage.log.offsets == [[(0, 1)]]


async def test_a_flush_with_the_fence_closed_writes_nothing() -> None:
    """Self-fencing comes before completeness: what is not written is done again."""
    one = partition()
    stage = Stage(one)
    stage.redirect(one)
    stage.clock.now += 3.0
    assert await stage.committer.flush([one]) is False
    assert stage.log.written == []


async def test_a_transaction_that_nobody_waits_for_any_more_is_not_written_again() -> None:
    """Rules 3 and 10: cancelled in the middle, the outcome is unknown, so all is dropped."""
    leaving, staying = partition(0), partition(1)
    stage = Stage(leaving, staying)
    stage.log.may_end.clear()
    stage.redirect(leaving)
    stage.redirect(staying)
    flush = asyncio.create_task(stage.committer.flush([leaving]))
    await settled_loop()
    flush.cancel()
    with suppress(asyncio.CancelledError):
        await flush
    stage.lose(leaving)
    stage.log.may_end.set()
    stage.group.polled()
    await stage.committer.commit()
    shares = [share for shares, _ in stage.log.written for share in shares]
    assert [one.place for one in shares].count(staying.place) == 1
