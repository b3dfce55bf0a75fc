"""The follower's rules, with a scripted topic: what is told, when it reads anew, how it fails."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

import pytest
from structlog.testing import capture_logs

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.metrics import Metrics, Service
from hooklane.runtime.subscriptions import SubscriptionFollower, differences
from hooklane.runtime.subscriptions_reader import End, Line, Replaced
from hooklane.schemas.book import BookChange, ChangeKind, SubscriptionBook, status_record
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.subscription_values import ServicePolicy

Step = Line | End | Replaced | Exception


def line(offset: int, name: str, host: str = "one") -> Line:
    value = {
        "id": name,
        "url": f"https://{host}.example.com/",
        "signing": {"scheme": "standard", "secrets": ["env:HOOKLANE_SECRET_A"]},
    }
    return Line(offset, name.encode(), json.dumps(value).encode())


def _position_after(step: Step) -> int:
    match step:
        case Line(offset):
            return offset + 1
        case End(offset):
            return offset
        case _:
            return 0


class ScriptedTopic:
    """Gives what a script says; each `begin` goes on to the next script.

    The end that it tells is where the script ends. When a script is over nothing more
    comes, until `give` adds to it.
    """

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self._scripts = [list(script) for script in scripts]
        self._now: list[Step] = []
        self._end = 0
        self._more = threading.Condition()
        self.begun = 0
        self.closed = False

    def begin(self) -> None:
        self.begun += 1
        self._now = self._scripts.pop(0) if self._scripts else []
        self._end = max(map(_position_after, self._now), default=0)
        if self._now and isinstance(self._now[0], Exception):
            raise self._now.pop(0)  # type: ignore[misc]  # an exception, as was just seen

    def end(self) -> int:
        return self._end

    def give(self, *steps: Step) -> None:
        with self._more:
            self._now += steps
            self._more.notify()

    def poll(self, timeout_s: float) -> Line | End | Replaced | None:
        with self._more:
            if not self._now:
                self._more.wait(timeout_s)
            step = self._now.pop(0) if self._now else None
        if isinstance(step, Exception):
            raise step
        return step

    def is_replaced(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Following:
    """A follower of a script, and what it told."""

    def __init__(self, topic: ScriptedTopic) -> None:
        self.changes: list[tuple[ChangeKind, str]] = []
        self._told = asyncio.Event()
        self.metrics = Metrics(Service.FANOUT)
        self.follower = SubscriptionFollower(topic, ServicePolicy(), self._tell, self.metrics)

    def _tell(self, change: BookChange) -> None:
        self.changes.append((change.kind, change.id))
        self._told.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._told.clear()
                await self._told.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.follower.stop()


ADDED, UPDATED, REMOVED, BAD = (
    ChangeKind.ADDED,
    ChangeKind.UPDATED,
    ChangeKind.REMOVED,
    ChangeKind.BAD,
)


async def test_only_what_is_in_force_is_told_at_the_start() -> None:
    """Older versions and deleted subscriptions of the past are nobody's business."""
    script = [line(0, "a"), line(1, "b"), line(5, "a", "two"), Line(9, b"b", None)]
    topic = ScriptedTopic(script)
    async with Following(topic) as it:
        await it.follower.start()
        assert it.changes == [(ADDED, "a")]
        assert it.follower.book.position == 10
    assert topic.closed


async def test_a_gap_at_the_end_is_passed() -> None:
    """What compaction or a transaction's mark left at the end is passed by the partition's end."""
    topic = ScriptedTopic([line(0, "a"), End(8)])
    async with Following(topic) as it:
        await it.follower.start()
        assert it.follower.book.position == 8


async def test_a_cut_topic_is_read_anew_and_the_difference_told() -> None:
    """After a cut the follower tells what went, what came and what changed; nothing twice."""
    before = [line(0, "a"), line(1, "b"), line(2, "c"), Line(3, b"bad", b"{")]
    after = [line(0, "b"), line(1, "c", "two"), line(2, "d"), Line(3, b"bad", b"{")]
    topic = ScriptedTopic(before, after)
    async with Following(topic) as it:
        await it.follower.start()
        it.changes.clear()
        topic.give(Replaced())
        await it.until(lambda: (ADDED, "d") in it.changes)
        # `b` stands at another offset now: a status about the old one no longer counts.
        assert it.changes == [(REMOVED, "a"), (UPDATED, "b"), (UPDATED, "c"), (ADDED, "d")]


async def test_the_metrics_hear_of_who_comes_and_goes() -> None:
    """A subscription has its label from when it is in force until it is deleted."""
    topic = ScriptedTopic([line(0, "a"), line(1, "b")])
    async with Following(topic) as it:
        await it.follower.start()
        it.metrics.attempted("a", AttemptOutcome.DELIVERED, 0.1)
        topic.give(Line(2, b"a", None))
        await it.until(lambda: (REMOVED, "a") in it.changes)
        it.metrics.attempted("a", AttemptOutcome.DELIVERED, 0.1)
        it.metrics.attempted("b", AttemptOutcome.DELIVERED, 0.1)
    value, name = it.metrics.registry.get_sample_value, "hooklane_subscription_attempts_total"
    found = {
        one: value(name, {"subscription": one, "outcome": "delivered"})
        for one in ("a", "b", "other")
    }
    assert found == {"a": None, "b": 1, "other": 1}


async def test_a_cut_while_it_is_read_starts_over() -> None:
    """Lines of a topic that was replaced in the middle are not mixed with its successor's."""
    topic = ScriptedTopic([line(0, "a"), Replaced(), line(5, "never")], [line(0, "b")])
    async with Following(topic) as it:
        await it.follower.start()
        assert it.changes == [(ADDED, "b")]


async def test_an_unreachable_broker_only_delays() -> None:
    """start() tries again for as long as Kafka does not answer."""
    topic = ScriptedTopic([BrokerError("Down.")], [BrokerError("Down.")], [line(0, "a")])
    async with Following(topic) as it:
        async with asyncio.timeout(10):
            await it.follower.start()
        assert topic.begun == 3
        assert it.changes == [(ADDED, "a")]


async def test_a_defect_is_told_to_the_service() -> None:
    """The thread does not die in silence: `failed` has its exception."""
    topic = ScriptedTopic([line(0, "a")])
    async with Following(topic) as it:
        await it.follower.start()
        topic.give(ZeroDivisionError("oh"))
        async with asyncio.timeout(10):
            with pytest.raises(ZeroDivisionError):
                await it.follower.failed
    assert topic.closed


async def test_a_bad_document_is_told_once() -> None:
    """It is counted while it is the newest, and no longer once a good one has come."""
    topic = ScriptedTopic([line(0, "a")])
    async with Following(topic) as it:
        await it.follower.start()
        topic.give(Line(1, b"a", b"{"), line(2, "b"))
        await it.until(lambda: (ADDED, "b") in it.changes)
        assert it.changes.count((BAD, "a")) == 1
        counted = it.metrics.registry.get_sample_value
        assert counted("hooklane_bad_subscriptions") == 1
        topic.give(line(3, "a", "two"))
        await it.until(lambda: (UPDATED, "a") in it.changes)
        assert counted("hooklane_bad_subscriptions") == 0


async def test_many_at_once_let_the_loop_breathe() -> None:
    """A thousand subscriptions are told in turns of the loop, in order, before start() returns."""
    topic = ScriptedTopic([line(one, f"s{one:04}") for one in range(1000)])
    async with Following(topic) as it:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while len(it.changes) < 1000:
                turns += bool(it.changes)
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await it.follower.start()
        assert [name for _, name in it.changes] == [f"s{one:04}" for one in range(1000)]
        await counting


async def test_stopping_before_the_end_is_reached() -> None:
    """A service that is told to end while it waits for Kafka ends."""
    topic = ScriptedTopic(*[[BrokerError("Down.")]] * 100)
    async with Following(topic) as it:
        starting = asyncio.create_task(it.follower.start())
        await asyncio.sleep(0)
        starting.cancel()
    assert topic.closed


def book_of(*lines: Line) -> SubscriptionBook:
    book = SubscriptionBook(ServicePolicy())
    for one in lines:
        book.read(one.offset, one.key, one.value)
    return book


def test_a_status_is_a_change_of_its_own() -> None:
    """The same document with another status is told as a status."""
    key, value = status_record("a", 0, "410 Gone", "2026-01-01T00:00:00Z")
    (change,) = differences(book_of(line(0, "a")), book_of(line(0, "a"), Line(1, key, value)))
    assert change.kind is ChangeKind.STATUS
    assert change.entry is not None
    assert change.entry.disabled is not None


def test_a_finding_that_went_is_told() -> None:
    """A bad document without anything in force that is gone from the topic is cleared."""
    (change,) = differences(book_of(Line(0, b"a", b"{")), book_of())
    assert (change.kind, change.id) == (ChangeKind.CLEARED, "a")


def test_equal_books_differ_in_nothing() -> None:
    """To read the same topic again tells nothing."""
    lines = (line(0, "a"), Line(1, b"b", b"{"), line(2, "c"))
    assert list(differences(book_of(*lines), book_of(*lines))) == []


class Hesitating(ScriptedTopic):
    """Has nothing to give for a while, and then tells a lower end than at first."""

    def __init__(self, script: Sequence[Step]) -> None:
        super().__init__(script)
        self._quiet_until = time.monotonic() + 1.5

    def end(self) -> int:
        told, self._end = self._end, 0
        return told

    def poll(self, timeout_s: float) -> Line | End | Replaced | None:
        if time.monotonic() < self._quiet_until:
            time.sleep(timeout_s)
            return None
        return super().poll(timeout_s)


async def test_an_end_that_is_told_lower_for_a_moment_ends_no_reading() -> None:
    """Durability: with a book that is not whole, events would pass for unwanted ones."""
    async with Following(Hesitating([line(0, "a"), line(1, "b")])) as it:
        await it.follower.start()
        assert it.changes == [(ADDED, "a"), (ADDED, "b")]


async def test_a_right_that_is_taken_away_is_said_and_changes_nothing() -> None:
    """What is known stays in force, the reason is told once, and with the right back it goes on."""
    topic = ScriptedTopic([line(0, "a"), End(1)])
    with capture_logs() as logs:
        async with Following(topic) as following:
            await following.follower.start()
            topic.give(BrokerError("refused: rights"), BrokerError("refused: rights"), line(1, "b"))
            await following.until(lambda: (ChangeKind.ADDED, "b") in following.changes)
            assert not following.follower.failed.done()
            assert following.follower.book.entry("a") is not None
    told = [one["reason"] for one in logs if one["log_level"] == "warning"]
    assert told == ["refused: rights"]
