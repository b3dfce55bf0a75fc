"""Ownership: what happens when event partitions come and go."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from hooklane.fanout import ownership
from hooklane.fanout.delivery import Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ownership import Offsets, Ownership
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.restore import Restored
from hooklane.runtime.errors import BrokerError, HooklaneError
from hooklane.runtime.group_client import Assigned
from hooklane.schemas.records import LedgerRecord, Partial, Span
from tests.support.fanout_facts import (
    Progress,
    counted,
    delivery,
    event,
    process,
    settled_loop,
    until,
)

ONE, TWO = Assigned("orders", 0), Assigned("orders", 1)
GRACE_S = 2.0
WHOLE = Offsets(committed=40, earliest=0, end=50)


def ledger(*settled: Span, partial: tuple[Partial, ...] = ()) -> LedgerRecord:
    return LedgerRecord("g", "orders", "T", 0, 40, settled, partial)


class Outside:
    """Kafka, the lanes and the dispatcher; each writes down when it was asked."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.offsets_: Offsets = WHOLE
        self.faults: deque[Exception | None] = deque()
        """What each question fails with; None where it is answered."""
        self.restored_ = Restored(LaneTable(), None)
        self.may_restore = asyncio.Event()
        self.may_restore.set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.flushed = True

    def _asked(self, what: object) -> None:
        self.said.append(what)
        if self.faults and (fault := self.faults.popleft()) is not None:
            raise fault

    # EventTopics.

    async def topic_id(self, topic: str) -> str:
        self._asked("topic id")
        return "T"

    async def offsets(self, partition: Assigned) -> Offsets:
        self._asked("offsets")
        await self.may_answer.wait()
        return self.offsets_

    # Restorer.

    async def restore(self, place: Place) -> Restored:
        self._asked("lanes")
        await self.may_restore.wait()
        return self.restored_

    def forget(self, place: Place) -> None:
        self.said.append(("forget", place.partition))

    # Work.

    async def drain(self, places: Sequence[Place], grace_s: float) -> None:
        self.said.append(("drain", [one.partition for one in places], grace_s))
        await asyncio.sleep(0)

    def cut_off(self, places: Sequence[Place]) -> None:
        self.said.append(("cut off", [one.partition for one in places]))

    async def flush(self, partitions: Sequence[EventPartition]) -> bool:
        self.said.append(("flush", [one.place.partition for one in partitions]))
        await asyncio.sleep(0)
        return self.flushed


class Stage:
    def __init__(self) -> None:
        self.progress = Progress()
        self.process = process(readiness=self.progress)
        self.outside = Outside()
        self.restored: list[EventPartition] = []
        self.broken: list[str] = []
        self.ownership = Ownership(
            self.process,
            self.outside,
            self.outside,
            self.outside,
            self.outside.flush,
            self.restored.append,
            self.broken.append,
            GRACE_S,
        )

    async def owns(self, *names: Assigned) -> None:
        self.ownership.assigned(names)
        await until(lambda: len(self.restored) == len(names))
        self.outside.said.clear()

    async def start(self, **offsets: int | None) -> int:
        """Where a partition with these offsets begins."""
        self.outside.offsets_ = replace(WHOLE, **offsets)  # type: ignore[arg-type]
        await self.owns(ONE)
        return self.restored[0].ledger.position

    @property
    def expired(self) -> float:
        return counted(self.process.metrics, "expired_events_total")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_RETRY_S", 0.001)
    monkeypatch.setattr(ownership, "_LOOK_AGAIN_S", 0.05)


# Assignment.


async def test_the_committed_offset_comes_before_the_lanes() -> None:
    """Rule 5: asked the other way round, a redirect in between would be in neither."""
    stage = Stage()
    stage.ownership.assigned([ONE])
    await until(lambda: stage.restored)
    assert stage.outside.said == ["topic id", "offsets", "lanes"]
    assert stage.progress.said == [("assigned", [ONE]), ("restored", [ONE])]
    assert [one.place for one in stage.process.owned] == [Place("orders", "T", 0)]


async def test_not_ours_before_it_is_restored() -> None:
    """Rule 5: the first event only afterwards: until then nobody finds the partition."""
    stage = Stage()
    stage.outside.may_restore.clear()
    stage.ownership.assigned([ONE])
    await settled_loop()
    assert (len(stage.process.owned), stage.restored) == (0, [])
    assert stage.progress.said == [("assigned", [ONE])]
    stage.outside.may_restore.set()
    await until(lambda: stage.restored)
    assert list(stage.process.owned) == stage.restored


async def test_lanes_and_ledger_are_carried_over() -> None:
    """Rules 4 and 5: what an earlier owner left is what this one begins with."""
    stage, lanes = Stage(), LaneTable()
    lanes.redirect(delivery(3).lane, 3)
    partial = Partial(41, (b"12345678",))
    stage.outside.restored_ = Restored(lanes, ledger(Span(43, 45), partial=(partial,)))
    await stage.owns(ONE)
    (one,) = stage.restored
    assert one.lanes is lanes
    state = one.ledger.state()
    assert (state.offset, state.settled, state.partial) == (40, (Span(43, 45),), (partial,))


async def test_each_partition_is_restored_by_itself() -> None:
    """A partition that takes long keeps no other one waiting."""
    stage = Stage()
    stage.outside.may_restore.clear()
    stage.ownership.assigned([ONE])
    await settled_loop()
    slow, stage.outside.may_restore = stage.outside.may_restore, asyncio.Event()
    stage.outside.may_restore.set()
    stage.ownership.assigned([TWO])
    await until(lambda: stage.restored)
    assert [one.place.partition for one in stage.restored] == [1]
    slow.set()
    await until(lambda: len(stage.restored) == 2)


async def test_an_empty_assignment_is_an_answer_of_the_group() -> None:
    """Section 7: ready also with no partition, once the group has been joined."""
    stage = Stage()
    stage.ownership.assigned([])
    assert stage.progress.said == [("assigned", [])]


@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_an_outage_only_delays(answered: int) -> None:
    """A broker that is away when it is asked is asked again, from the first question on."""
    stage = Stage()
    questions = ["topic id", "offsets", "lanes"]
    stage.outside.faults.extend([*[None] * answered, BrokerError("no answer")])
    stage.ownership.assigned([ONE])
    await until(lambda: stage.restored)
    again = [said for said in stage.outside.said if said != ("forget", 0)]
    assert again == [*questions[: answered + 1], *questions]
    assert stage.broken == []


async def test_a_restore_that_failed_is_not_followed_any_more() -> None:
    """The lanes are read again from their start, so what was read in vain is forgotten."""
    stage = Stage()
    stage.outside.faults.extend([None, None, HooklaneError("no answer about the lanes")])
    stage.ownership.assigned([ONE])
    await until(lambda: stage.restored)
    assert stage.outside.said[2:4] == ["lanes", ("forget", 0)]


async def test_a_fault_of_ours_ends_the_process() -> None:
    """A partition that waits for ever helps nobody; what is not an outage is told."""
    stage = Stage()
    stage.outside.faults.append(RuntimeError("a bug"))
    stage.ownership.assigned([ONE])
    await until(lambda: stage.broken)
    assert "a bug" in stage.broken[0]
    assert len(stage.process.owned) == 0


@pytest.mark.parametrize("goes", ["lost", "revoke"])
async def test_a_restore_that_is_no_longer_wanted_is_cancelled(goes: str) -> None:
    """Rule 6: a partition that goes while it is restored never becomes ours, and is no fault."""
    stage, faults = Stage(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    stage.outside.may_restore.clear()
    stage.ownership.assigned([ONE, TWO])
    await settled_loop()
    if goes == "lost":
        stage.ownership.lost([ONE])
    else:
        await stage.ownership.revoke([ONE])
    stage.outside.may_restore.set()
    await until(lambda: stage.restored)
    await settled_loop()
    assert [one.place.partition for one in stage.process.owned] == [1]
    assert (stage.broken, faults) == ([], [])
    assert ("revoked", [ONE]) in stage.progress.said
    words = [said[0] for said in stage.outside.said if isinstance(said, tuple)]
    assert words == ["cut off", "forget"]


async def test_it_may_come_back() -> None:
    """A partition that went while it was restored is restored anew when it comes again."""
    stage = Stage()
    stage.outside.may_restore.clear()
    stage.ownership.assigned([ONE])
    await settled_loop()
    stage.ownership.lost([ONE])
    stage.ownership.assigned([ONE])
    stage.outside.may_restore.set()
    await until(lambda: stage.restored)
    await settled_loop()
    assert [one.place.partition for one in stage.restored] == [0]


# Where to begin.


@pytest.mark.parametrize(
    ("offsets", "start", "expired"),
    [
        pytest.param({}, 40, 0, id="at the committed offset"),
        pytest.param({"committed": 50}, 50, 0, id="at the end"),
        pytest.param({"committed": None}, 0, 0, id="without one: at the earliest"),
        pytest.param({"committed": None, "earliest": 9}, 9, 0, id="never read: nothing is lost"),
        pytest.param({"earliest": 40}, 40, 0, id="the earliest is the committed one"),
        pytest.param({"earliest": 45}, 45, 5, id="retention took five"),
        pytest.param({"earliest": 50}, 50, 10, id="retention took all"),
        pytest.param({"committed": 51}, 0, 0, id="beyond the end: the log was cut"),
        pytest.param({"committed": 51, "earliest": 7}, 7, 0, id="beyond the end of a late log"),
    ],
)
async def test_where_a_partition_begins(
    offsets: dict[str, int | None], start: int, expired: int
) -> None:
    """Section 3: events that expired before they were read are counted, never jumped silently."""
    stage = Stage()
    assert await stage.start(**offsets) == start
    assert stage.expired == expired


async def test_what_expired_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Faults 21: the log names the partition, the first, the last and how many."""
    await Stage().start(earliest=45)
    said = capsys.readouterr().out
    assert "events.expired" in said
    assert "orders[0]" in said
    assert all(word in said for word in ("40", "44", "5"))


async def test_a_log_that_was_cut_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Faults 9: a committed offset beyond the end means that records were lost."""
    await Stage().start(committed=51)
    said = capsys.readouterr().out
    assert "partition.shorter_than_committed" in said
    assert all(word in said for word in ("51", "50"))


@pytest.mark.parametrize("committed", [40, 60])
async def test_a_ledger_does_not_speak_of_events_that_are_still_to_come(committed: int) -> None:
    """Durability, faults 9: what lies at or beyond the log's end cannot have been settled."""
    stage = Stage()
    stage.outside.restored_ = Restored(LaneTable(), ledger(Span(62, 65)))
    await stage.start(committed=committed)
    assert not stage.restored[0].ledger.is_settled(62)


# Gaps.


async def test_a_gap_of_retention_is_counted() -> None:
    """What was jumped is counted if retention took it."""
    stage = Stage()
    stage.outside.offsets_ = replace(WHOLE, earliest=45)
    stage.ownership.jumped(ONE, 42)
    await until(lambda: stage.expired)
    assert stage.expired == 3


async def test_a_gap_of_compaction_is_nothing() -> None:
    """Transactions and compaction leave gaps too."""
    stage = Stage()
    stage.ownership.jumped(ONE, 42)
    await until(lambda: stage.outside.said)
    await settled_loop()
    assert stage.expired == 0


async def test_gaps_do_not_ask_kafka_again_and_again() -> None:
    """A topic full of gaps costs one question in a while, and later ones are looked at again."""
    stage = Stage()
    for offset in range(100):
        stage.ownership.jumped(ONE, offset)
        await asyncio.sleep(0)
    assert stage.outside.said == ["offsets"]
    await asyncio.sleep(0.2)
    stage.outside.offsets_ = replace(WHOLE, earliest=45)
    stage.ownership.jumped(ONE, 42)
    await until(lambda: stage.expired)


async def test_a_gap_that_cannot_be_explained_is_no_fault() -> None:
    """An outage while one looks stops nothing."""
    stage = Stage()
    stage.outside.faults.append(BrokerError("no answer"))
    stage.ownership.jumped(ONE, 42)
    await until(lambda: stage.outside.said)
    await settled_loop()
    assert (stage.expired, stage.broken) == (0, [])


async def test_a_second_gap_is_looked_at_later() -> None:
    """Section 3: events that expired before they were read are never jumped silently."""
    stage = Stage()
    stage.ownership.jumped(ONE, 10)
    await settled_loop()
    stage.outside.offsets_ = replace(WHOLE, earliest=45)
    stage.ownership.jumped(ONE, 42)
    await asyncio.sleep(0.3)
    assert stage.expired == 3


async def test_a_look_at_a_gap_holds_no_end_of_the_process_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM: what is cancelled ends."""
    monkeypatch.setattr(ownership, "_LOOK_AGAIN_S", 0.5)
    stage = Stage()
    stage.outside.may_answer.clear()
    before = asyncio.all_tasks()
    stage.ownership.jumped(ONE, 10)
    await settled_loop()
    (look,) = asyncio.all_tasks() - before
    look.cancel()
    await settled_loop()
    ended = look.done()
    with suppress(asyncio.CancelledError):
        await look
    assert ended


# Revocation and loss.


async def test_a_revocation_drains_then_flushes_then_lets_go() -> None:
    """Rule 6: attempts end, what is settled is committed, and only then the partition goes."""
    stage = Stage()
    await stage.owns(ONE, TWO)
    await stage.ownership.revoke([ONE])
    assert stage.outside.said == [
        ("drain", [0], GRACE_S),
        ("flush", [0]),
        ("cut off", [0]),
        ("forget", 0),
    ]
    assert [one.place.partition for one in stage.process.owned] == [1]
    assert stage.progress.said[-1] == ("revoked", [ONE])


async def test_it_is_ours_until_it_is_flushed() -> None:
    """Rule 6: what ends in the grace is settled and committed, so the partition is still found."""
    stage, seen = Stage(), list[int]()
    await stage.owns(ONE)
    flush = stage.outside.flush

    async def looks(partitions: Sequence[EventPartition]) -> bool:
        seen.append(len(stage.process.owned))
        return await flush(partitions)

    stage.ownership._flush = looks
    await stage.ownership.revoke([ONE])
    assert (seen, len(stage.process.owned)) == ([1], 0)


async def test_what_cannot_be_flushed_is_let_go_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rule 6: the next owner does it again; the log says so."""
    stage = Stage()
    await stage.owns(ONE)
    stage.outside.flushed = False
    await stage.ownership.revoke([ONE])
    assert len(stage.process.owned) == 0
    assert "partitions.not_flushed" in capsys.readouterr().out


async def test_a_loss_cuts_off_without_a_flush() -> None:
    """Rule 6: somebody else may own it already: no grace, no commit, nothing redirected."""
    stage = Stage()
    await stage.owns(ONE, TWO)
    stage.ownership.lost([ONE])
    assert stage.outside.said == [("cut off", [0]), ("forget", 0)]
    assert [one.place.partition for one in stage.process.owned] == [1]
    assert stage.progress.said[-1] == ("revoked", [ONE])


async def test_a_loss_of_what_was_not_ours_is_nothing() -> None:
    """A loss may name partitions that are gone already, as after a revocation that timed out."""
    stage = Stage()
    await stage.owns(ONE)
    stage.ownership.lost([ONE])
    stage.ownership.lost([ONE, TWO])
    stage.ownership.lost([])
    assert stage.outside.said.count(("forget", 0)) == 1


async def test_what_has_gone_shows_no_window() -> None:
    """Section 7: the last value of a partition that somebody else has would stay for ever."""
    stage = Stage()
    await stage.owns(ONE)
    stage.process.metrics.window("orders", 0).set(5)
    stage.ownership.lost([ONE])
    labels = {"topic": "orders", "partition": "0"}
    assert stage.process.metrics.registry.get_sample_value("hooklane_window_events", labels) is None


async def test_the_work_of_a_partition_is_its_own() -> None:
    """What is admitted after a restore is in the ledger of that assignment only."""
    stage = Stage()
    await stage.owns(ONE)
    (old,) = stage.restored
    old.admit(replace(event(40)), [], 0.0)
    stage.ownership.lost([ONE])
    stage.ownership.assigned([ONE])
    await until(lambda: len(stage.restored) == 2)
    assert stage.restored[1].ledger.position == 40
