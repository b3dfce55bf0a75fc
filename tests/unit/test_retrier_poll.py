"""The poll thread of a group's member, on a scripted consumer: what is told, what is ordered."""

import asyncio
import struct
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hooklane.runtime.group_client import Assigned, generation
from hooklane.runtime.group_poll import Consumed, GroupPoll, Start
from hooklane.runtime.group_reader import GroupReader
from tests.support.retrier_loop import until

BACKLOG = Assigned("backlog", 3)
TIERS = [Assigned("tier", 3), Assigned("other-tier", 3)]


class Message:
    """A record, or an event in a record's place."""

    def __init__(self, place: Assigned, offset: int, error: KafkaError | None = None) -> None:
        self._place, self._offset, self._error = place, offset, error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._place.topic

    def partition(self) -> int:
        return self._place.partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_000)

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v"

    def headers(self) -> None:
        return None


def end_of(place: Assigned, offset: int) -> Message:
    return Message(place, offset, KafkaError(KafkaError._PARTITION_EOF))


Step = list[Message] | Callable[[], None]


class Scripted:
    """A consumer: each poll takes the next step, records or a callback that runs in `poll`."""

    def __init__(self) -> None:
        self.did: list[tuple[str, object]] = []
        self.generation = 4
        self.refuse_orders = False
        self.wakes = threading.Semaphore(0)
        self._steps: list[Step] = []
        self._batch: list[Message] = []
        self._callbacks: dict[str, Any] = {}

    def then(self, step: Step) -> None:
        self._steps.append(step)

    def gives(self, how: str, *places: Assigned) -> Callable[[], None]:
        """A step that calls `on_assign`, `on_revoke` or `on_lost` with these."""
        named = [TopicPartition(*place) for place in places]
        return lambda: self._callbacks[how](cast("Consumer", self), named)

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.did.append(("subscribe", topics))
        self._callbacks = callbacks

    def unsubscribe(self) -> None:
        self.did.append(("unsubscribe", None))

    def poll(self, timeout: float) -> Message | None:
        if not self._steps:
            self.wakes.acquire(timeout=0.002)
            return None
        step = self._steps.pop(0)
        if callable(step):
            step()
            return None
        self._batch = step[1:]
        return step[0]

    def consume(self, number: int, timeout: float) -> list[Message]:
        taken, self._batch = self._batch, []
        return taken

    def consumer_group_metadata(self) -> bytes:
        return struct.pack("=7si", b"CGMDv2:", self.generation)

    def list_topics(self, topic: str, timeout: float) -> None:
        """Nothing of this is looked at here."""

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.did.append(("assign", [(p.topic, p.partition, p.offset) for p in partitions]))

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        self.did.append(("unassign", _places(partitions)))

    def pause(self, partitions: list[TopicPartition]) -> None:
        if self.refuse_orders:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        self.did.append(("pause", _places(partitions)))

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.did.append(("resume", _places(partitions)))

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, 0

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.did.append(("commit", [(p.topic, p.partition, p.offset) for p in offsets]))

    def close(self) -> None:
        self.did.append(("close", None))


def _places(partitions: Sequence[TopicPartition]) -> list[Assigned]:
    return [Assigned(one.topic, one.partition) for one in partitions]


class Owner:
    """Writes down what it is told; `ends_work` keeps a revocation waiting until it is set."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.ends_work = asyncio.Event()
        self.ends_work.set()
        self.answers = True
        self.polls = 0
        self.thread = threading.get_ident()

    def _tell(self, what: object) -> None:
        assert threading.get_ident() == self.thread
        self.told.append(what)

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        self._tell("starts")
        if not self.answers:
            await asyncio.Event().wait()
        return [Start(BACKLOG, 41), *(Start(tier) for tier in TIERS)]

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        self._tell(("assigned", list(partitions)))

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        self._tell(("revoke", list(partitions)))
        await self.ends_work.wait()

    def lost(self, partitions: Sequence[Assigned]) -> None:
        self._tell(("lost", list(partitions)))

    def consumed(self, batch: Sequence[Consumed]) -> None:
        self._tell(("consumed", [one.offset for one in batch]))

    def reached_end(self, place: Assigned, offset: int) -> None:
        self._tell(("end", place, offset))

    def polled(self, at: float) -> None:
        self.polls += 1

    def failed(self, error: str) -> None:
        self._tell(("failed", error))


class Bench:
    def __init__(self, limit_s: float = 5.0) -> None:
        self.kafka, self.owner = Scripted(), Owner()
        self.poll = GroupPoll(
            GroupReader(cast("Consumer", self.kafka)),
            ["backlog"],
            self.owner,
            lambda: 7.0,
            limit_s,
            lambda place: TIERS if place == BACKLOG else [],
        )

    def did(self, *names: str) -> list[tuple[str, object]]:
        return [one for one in self.kafka.did if one[0] in names]


@asynccontextmanager
async def polling(limit_s: float = 5.0) -> AsyncIterator[Bench]:
    bench = Bench(limit_s)
    bench.poll.start()
    try:
        yield bench
    finally:
        bench.owner.ends_work.set()
        await bench.poll.stop()


async def test_an_assignment_starts_where_the_owner_says_and_brings_the_tiers() -> None:
    """Rule 7: the group gives the backlog only; its tiers are added with `incremental_assign`."""
    async with polling() as bench:
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        await until(lambda: ("assigned", [BACKLOG]) in bench.owner.told)
    assert bench.owner.told[:2] == ["starts", ("assigned", [BACKLOG])]
    stored = -1001
    places = [(*BACKLOG, 41), *((*tier, stored) for tier in TIERS)]
    assert bench.did("assign") == [("assign", places)]


async def test_an_empty_assignment_is_told_without_a_question() -> None:
    """Section 7: joined, also with no partition."""
    async with polling() as bench:
        bench.kafka.then(bench.kafka.gives("on_assign"))
        await until(lambda: ("assigned", []) in bench.owner.told)
    assert "starts" not in bench.owner.told


async def test_a_revocation_takes_the_tiers_along_and_waits_for_the_work() -> None:
    """Rule 7: a revocation names backlog partitions only, and nothing passes on before its end."""
    async with polling() as bench:
        bench.owner.ends_work.clear()
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        bench.kafka.then(bench.kafka.gives("on_revoke", BACKLOG))
        await until(lambda: ("revoke", [BACKLOG]) in bench.owner.told)
        assert bench.did("unassign") == []
        bench.owner.ends_work.set()
        await until(lambda: bool(bench.did("unassign")))
    assert bench.did("unassign") == [("unassign", [BACKLOG, *TIERS])]
    assert ("lost", [BACKLOG]) not in bench.owner.told


async def test_a_revocation_that_takes_too_long_is_a_loss() -> None:
    """The group does not wait for ever; what is still at work is dropped."""
    async with polling(limit_s=0.02) as bench:
        bench.owner.ends_work.clear()
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        bench.kafka.then(bench.kafka.gives("on_revoke", BACKLOG))
        await until(lambda: ("lost", [BACKLOG]) in bench.owner.told)
        await until(lambda: bool(bench.did("unassign")))


async def test_a_loss_is_told_without_waiting() -> None:
    """The partitions may be somebody else's already; the tiers go with them."""
    async with polling() as bench:
        bench.owner.ends_work.clear()
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        bench.kafka.then(bench.kafka.gives("on_lost", BACKLOG))
        await until(lambda: ("lost", [BACKLOG]) in bench.owner.told)
        await until(lambda: bool(bench.did("unassign")))
    assert bench.did("unassign") == [("unassign", [BACKLOG, *TIERS])]


async def test_no_answer_to_an_assignment_fails() -> None:
    """Without a place to begin nothing is fetched, and the process says so."""
    async with polling(limit_s=0.02) as bench:
        bench.owner.answers = False
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        await until(lambda: ("assigned", [BACKLOG]) in bench.owner.told)
        assert bench.did("pause") == [("pause", [BACKLOG])]
    words = [one for one in bench.owner.told if isinstance(one, tuple) and one[0] == "failed"]
    assert words == [("failed", "the event loop did not answer an assignment in time")]


async def test_records_come_in_batches_and_ends_after_them() -> None:
    """Rule 7: an end that came before its records would open a partition too early."""
    async with polling() as bench:
        records = [Message(BACKLOG, 5), end_of(BACKLOG, 7), Message(BACKLOG, 6)]
        bench.kafka.then(records)
        await until(lambda: len(bench.owner.told) == 2)
    assert bench.owner.told == [("consumed", [5, 6]), ("end", BACKLOG, 7)]


async def test_a_commit_is_ordered_and_done_between_polls() -> None:
    """Nobody waits for a commit; of nothing there is none."""
    async with polling() as bench:
        bench.poll.commit({})
        bench.poll.commit({TIERS[0]: 17})
        await until(lambda: bool(bench.did("commit")))
    assert bench.did("commit") == [("commit", [("tier", 3, 17)])]


async def test_a_refused_order_stops_nothing() -> None:
    """A partition that was just taken away cannot be paused; the orders behind are carried out."""
    async with polling() as bench:
        bench.kafka.refuse_orders = True
        bench.poll.pause([BACKLOG])
        bench.poll.commit({TIERS[0]: 17})
        await until(lambda: bool(bench.did("commit")))


async def test_what_was_ordered_before_the_stop_is_carried_out() -> None:
    """SIGTERM: commit, then leave the group."""
    bench = Bench()
    polled, go_on = threading.Event(), threading.Event()

    def slow_poll() -> None:
        polled.set()
        go_on.wait(5)

    bench.kafka.then(slow_poll)
    bench.poll.start()
    await asyncio.to_thread(polled.wait, 5)
    bench.poll.commit({TIERS[0]: 17})
    stopping = asyncio.create_task(bench.poll.stop())
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(stopping, 5)
    assert [name for name, _ in bench.did("commit", "close")] == ["commit", "close"]


async def test_metadata_of_no_member_is_not_used() -> None:
    """Self-fencing: the broker does not check metadata with a negative generation."""
    async with polling() as bench:
        await until(lambda: bench.poll.metadata is not None)
        assert generation(bench.poll.metadata or b"") == 4
        bench.kafka.generation = -1
        await until(lambda: bench.poll.metadata is None)
    assert bench.owner.polls == bench.poll.polls


async def test_a_fatal_error_is_told_and_ends_the_polls() -> None:
    """An instance id that is used twice fences this consumer for good."""
    async with polling() as bench:
        fatal = KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", True)
        bench.kafka.then([Message(BACKLOG, 0, fatal)])
        await until(lambda: bool(bench.did("close")))
    assert any(one[0] == "failed" for one in bench.owner.told if isinstance(one, tuple))


async def test_other_errors_are_passed_over() -> None:
    """A broker that is away is librdkafka's affair; records behind the error are taken."""
    async with polling() as bench:
        away = KafkaError(KafkaError._TRANSPORT)
        bench.kafka.then([Message(BACKLOG, 0, away), Message(BACKLOG, 8)])
        await until(lambda: ("consumed", [8]) in bench.owner.told)
    assert bench.owner.told == [("consumed", [8])]


async def test_a_fault_on_the_thread_is_told() -> None:
    """A poll thread that died in silence would look like an idle group."""

    def broken() -> None:
        raise RuntimeError("bug")

    async with polling() as bench:
        bench.kafka.then(broken)
        await until(lambda: ("failed", "the consumer stopped: bug") in bench.owner.told)


async def test_rejoin_gives_everything_back_as_lost() -> None:
    """After an unknown outcome the work is dropped and the group joined anew."""
    async with polling() as bench:
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        await until(lambda: ("assigned", [BACKLOG]) in bench.owner.told)
        bench.poll.rejoin()
        await until(lambda: bench.did("unsubscribe") != [])
        bench.kafka.then(bench.kafka.gives("on_assign", BACKLOG))
        bench.kafka.then(bench.kafka.gives("on_revoke", BACKLOG))
        await until(lambda: len(bench.did("subscribe")) == 2)
    assert ("lost", [BACKLOG]) in bench.owner.told
    names = [name for name, _ in bench.did("subscribe", "unsubscribe")]
    assert names == ["subscribe", "unsubscribe", "subscribe"]


def test_metadata_of_an_unknown_form_is_refused() -> None:
    """Better to stop than to commit unfenced."""
    with pytest.raises(ValueError, match="unknown group metadata"):
        generation(b"CGMDv9:" + bytes(4))
