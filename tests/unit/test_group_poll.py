"""The poll thread of a group's member: what reaches the event loop, in which order, and when.

The consumer is scripted: each step of the test runs inside `poll`, where librdkafka calls back.
"""

import asyncio
import queue
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hooklane.runtime.group_client import Assigned, generation
from hooklane.runtime.group_poll import Consumed, GroupPoll, Start
from hooklane.runtime.group_reader import GroupReader
from tests.support.fanout_facts import settled_loop, until

ONE, TWO = Assigned("orders", 0), Assigned("orders", 1)
ANSWER_S = 0.2
CLOSE_S = 0.3
AWAY_S = 10.0


def metadata(number: int, marker: bytes = b"CGMDv2:") -> bytes:
    return marker + struct.pack("=i", number) + b"group\0member\0"


class Message:
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
        return 1, 1_000 + self._offset

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"v%d" % self._offset

    def headers(self) -> None:
        return None


def end(place: Assigned, offset: int) -> Message:
    return Message(place, offset, KafkaError(KafkaError._PARTITION_EOF))


Step = Callable[[], Iterable[Message] | None]


class Kafka:
    """A consumer whose every poll does the next thing that the test has told it."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.held: set[Assigned] = set()
        self.paused: set[Assigned] = set()
        self.generation = -1
        self.marker = b"CGMDv2:"
        self.polls = 0
        self.refuses: set[str] = set()
        self.closes = threading.Event()
        self.closes.set()
        self.on: dict[str, Callable[[Any, list[TopicPartition]], None]] = {}
        self._steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self._more: list[Message] = []
        self._idle = threading.Event()

    # What the test does.

    def then(self, step: Step) -> None:
        """The next poll does this; the messages that it gives are fetched."""
        self._steps.put(step)

    def assigns(self, *places: Assigned) -> None:
        self.on["assign"](self, named(places))

    def revokes(self, *places: Assigned) -> None:
        self.on["revoke"](self, named(places))

    def loses(self, *places: Assigned) -> None:
        self.on["lost"](self, named(places))

    def settle(self) -> None:
        """Hold the event loop up until the poll thread has done all of it and polled again."""
        for _ in range(2):
            self._idle.clear()
            assert self._idle.wait(AWAY_S), "the poll thread does not poll"

    # What GroupPoll does.

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.said.append(("subscribe", topics))
        self.on = {name.removeprefix("on_"): call for name, call in callbacks.items()}

    def unsubscribe(self) -> None:
        self.said.append("unsubscribe")

    def poll(self, timeout: float) -> Message | None:
        self.polls += 1
        if self._steps.empty():
            self._idle.set()
        try:
            step = self._steps.get(timeout=min(timeout, 0.005))
        except queue.Empty:
            return None
        first, *self._more = [*(step() or ()), None]  # type: ignore[list-item]
        self._more = self._more[:-1]
        return first

    def consume(self, number: int, timeout: float) -> list[Message]:
        assert timeout == 0
        taken, self._more = self._more[:number], self._more[number:]
        return taken

    def consumer_group_metadata(self) -> bytes:
        return metadata(self.generation, self.marker)

    def list_topics(self, topic: str, timeout: float) -> None:
        assert timeout > 0
        self.said.append(("learn", topic))

    def incremental_assign(self, wanted: list[TopicPartition]) -> None:
        self.said.append(("assign", [(one.topic, one.partition, one.offset) for one in wanted]))
        self.held |= places(wanted)

    def incremental_unassign(self, gone: list[TopicPartition]) -> None:
        self.said.append(("unassign", sorted(places(gone))))
        self.held -= places(gone)
        self.paused -= places(gone)

    def pause(self, wanted: list[TopicPartition]) -> None:
        self._order("pause", wanted)
        self.paused |= places(wanted)

    def resume(self, wanted: list[TopicPartition]) -> None:
        self._order("resume", wanted)
        self.paused -= places(wanted)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self.said.append(("ask", place.topic, place.partition))
        return 0, 0

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.said.append(("commit", [(one.topic, one.partition, one.offset) for one in offsets]))

    def close(self) -> None:
        if self.held:
            self.revokes(*sorted(self.held))
        self.closes.wait()
        self.said.append("close")

    def _order(self, word: str, wanted: list[TopicPartition]) -> None:
        self.said.append((word, sorted(places(wanted))))
        if word in self.refuses:
            raise KafkaException(KafkaError(KafkaError._STATE, "not assigned"))


def named(wanted: Sequence[Assigned]) -> list[TopicPartition]:
    return [TopicPartition(one.topic, one.partition) for one in wanted]


def places(wanted: Sequence[TopicPartition]) -> set[Assigned]:
    return {Assigned(one.topic, one.partition) for one in wanted}


class Owner:
    """Writes down what it is told, with the generation that it can see at that moment."""

    def __init__(self) -> None:
        self.poll: GroupPoll | None = None
        self.told: list[tuple[str, object, int | None]] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.begin: Callable[[Assigned], Sequence[Start]] = lambda place: [Start(place)]
        self.consume: Callable[[Sequence[Consumed]], None] = lambda batch: None

    def _told(self, what: str, about: object) -> None:
        assert self.poll is not None
        found = self.poll.metadata
        self.told.append((what, about, None if found is None else generation(found)))

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        self._told("starts", list(partitions))
        await self.answers.wait()
        return [start for one in partitions for start in self.begin(one)]

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        self._told("assigned", list(partitions))

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        self._told("revoke", list(partitions))
        await self.answers.wait()
        self._told("revoked", list(partitions))

    def lost(self, partitions: Sequence[Assigned]) -> None:
        self._told("lost", list(partitions))

    def consumed(self, batch: Sequence[Consumed]) -> None:
        self._told("consumed", [one.offset for one in batch])
        self.consume(batch)

    def reached_end(self, place: Assigned, offset: int) -> None:
        self._told("end", (place, offset))

    def polled(self, at: float) -> None:
        self._told("polled", at)

    def failed(self, error: str) -> None:
        self._told("failed", error)

    def heard(self, but: Sequence[str] = ("polled",)) -> list[tuple[str, object]]:
        return [(what, about) for what, about, _ in self.told if what not in but]

    def failure(self) -> str:
        return next((str(about) for what, about in self.heard() if what == "failed"), "")


class Stage:
    def __init__(self, along: dict[Assigned, list[Assigned]] | None = None) -> None:
        self.kafka, self.owner = Kafka(), Owner()
        self.now = 100.0
        consumer = cast("Consumer", self.kafka)
        beside = along or {}
        self.poll = GroupPoll(
            GroupReader(consumer),
            ["orders"],
            self.owner,
            lambda: self.now,
            ANSWER_S,
            along=lambda place: beside.get(place, []),
            close_limit_s=CLOSE_S,
        )
        self.owner.poll = self.poll

    async def done(self) -> None:
        """All steps are done and told."""
        await asyncio.to_thread(self.kafka.settle)
        await settled_loop()

    async def joins(self, *places: Assigned, generation: int = 5) -> None:
        def step() -> None:
            self.kafka.generation = generation
            self.kafka.assigns(*places)

        self.kafka.then(step)
        await self.done()
        self.kafka.said.clear()
        self.owner.told.clear()


@asynccontextmanager
async def polling(stage: Stage) -> AsyncIterator[Stage]:
    stage.poll.start()
    try:
        yield stage
    finally:
        stage.owner.answers.set()
        await stage.poll.stop()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with polling(Stage()) as running:
        yield running


# Metadata.


@pytest.mark.parametrize("number", [0, 1, 7, 2**31 - 1, -1, -(2**31)])
def test_the_generation_stands_behind_the_marker(number: int) -> None:
    """Self-fencing: librdkafka's opaque bytes begin with `CGMDv2:` and an int32."""
    assert generation(metadata(number)) == number


@pytest.mark.parametrize("marker", [b"CGMDv3:", b"CGMDv1:", b"XXXXXXX"])
def test_an_unknown_marker_is_refused(marker: bytes) -> None:
    """Better to stop than to commit unfenced."""
    with pytest.raises(ValueError, match="unknown group metadata"):
        generation(metadata(5, marker))


@pytest.mark.parametrize("found", [b"", b"CGMDv2:", b"CGMDv2:\0\0\0"])
def test_metadata_that_is_too_short_is_refused(found: bytes) -> None:
    """The docstring promises a ValueError for whatever is not known."""
    with pytest.raises(ValueError, match="unknown group metadata"):
        generation(found)


async def test_the_real_consumer_has_the_marker() -> None:
    """The librdkafka that is installed writes what `generation` reads: -1 for no member."""
    real = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    try:
        assert generation(cast("bytes", real.consumer_group_metadata())) == -1
    finally:
        real.close()


async def test_an_unknown_marker_ends_the_consumer(stage: Stage) -> None:
    """A librdkafka that writes other metadata is found out at the first poll, and told."""
    stage.kafka.marker = b"CGMDv3:"
    await until(stage.owner.failure)
    assert "CGMDv3:" in stage.owner.failure()
    assert stage.poll.metadata is None


async def test_a_negative_generation_is_never_handed_on(stage: Stage) -> None:
    """Self-fencing: the broker does not check metadata with one, so it is as good as none."""
    await stage.done()
    assert (stage.poll.metadata, stage.poll.polls > 0) == (None, True)
    await stage.joins(generation=0)
    assert stage.poll.metadata == metadata(0)
    stage.kafka.generation = -1
    await stage.done()
    assert stage.poll.metadata is None


async def test_metadata_is_taken_afresh_after_each_poll(stage: Stage) -> None:
    """What the next transaction uses is of the last poll; the polls are counted and timed."""
    await stage.joins()
    before = stage.poll.polls
    stage.kafka.generation, stage.now = 6, 107.0
    await stage.done()
    assert stage.poll.metadata == metadata(6)
    assert stage.poll.polls > before
    assert ("polled", 107.0, 6) in stage.owner.told


async def test_new_metadata_is_not_seen_before_the_loss_of_the_old_membership(
    stage: Stage,
) -> None:
    """Self-fencing: metadata of a new membership would carry the work of the old one through.

    The event loop is held up, so that all of it is there at once: what counts is the order.
    """
    await stage.joins(ONE, generation=5)

    def lost_and_joined_again() -> None:
        stage.kafka.generation = 9
        stage.kafka.loses(ONE)

    stage.kafka.then(lost_and_joined_again)
    stage.kafka.settle()
    assert stage.poll.metadata == metadata(5)
    await settled_loop()
    (lost,) = [number for what, _, number in stage.owner.told if what == "lost"]
    assert lost == 5
    assert stage.poll.metadata == metadata(9)
    heard = [what for what, _, number in stage.owner.told if what == "lost" or number == 9]
    assert heard[0] == "lost"


async def test_new_metadata_is_not_seen_before_a_rejoin_has_been_told(stage: Stage) -> None:
    """After an unknown outcome the work is dropped before anything of the new membership."""
    await stage.joins(ONE, generation=5)
    unsubscribe = stage.kafka.unsubscribe

    def left() -> None:
        unsubscribe()
        stage.kafka.generation = 9

    stage.kafka.unsubscribe = left  # type: ignore[method-assign]
    stage.poll.rejoin()
    stage.kafka.settle()
    await settled_loop()
    assert ("lost", [ONE], 5) in stage.owner.told
    assert stage.poll.metadata == metadata(9)


# Assignment.


async def test_an_assignment_begins_where_the_owner_says(stage: Stage) -> None:
    """The owner says where, what goes along, and what stays paused; then it is told."""
    tier = Assigned("retry", 0)
    stage.owner.begin = lambda place: [Start(place, paused=True), Start(tier, 17)]
    stage.kafka.then(lambda: stage.kafka.assigns(ONE))
    await stage.done()
    assert stage.kafka.said[1:] == [
        ("assign", [("orders", 0, -1001), ("retry", 0, 17)]),
        ("pause", [ONE]),
    ]
    assert stage.owner.heard() == [("starts", [ONE]), ("assigned", [ONE])]


async def test_topics_that_go_along_are_known_before_the_group_is_joined() -> None:
    """Promise of restart: librdkafka looks only once a second after topics that go along."""
    async with polling(Stage({ONE: [Assigned("retry", 0)]})) as stage:
        await stage.done()
        assert stage.kafka.said[:2] == [("learn", "retry"), ("subscribe", ["orders"])]


@pytest.mark.parametrize("goes", ["revokes", "loses"])
async def test_what_is_not_consumed_is_not_taken(stage: Stage, goes: str) -> None:
    """Membership: Kafka gives a static member what it had before its topics were changed. Nobody
    works on that, and nothing of it is given back."""
    other = Assigned("taken-out", 0)
    stage.kafka.then(lambda: stage.kafka.assigns(other, ONE))
    stage.kafka.then(lambda: getattr(stage.kafka, goes)(other, ONE))
    await stage.done()
    assert stage.kafka.said[1:] == [("assign", [("orders", 0, -1001)]), ("unassign", [ONE])]
    assert all(about == [ONE] for _, about in stage.owner.heard())


async def test_an_assignment_of_nothing_is_told_too(stage: Stage) -> None:
    """Section 7: ready also with no partition; the owner is not asked where to begin."""
    stage.kafka.then(stage.kafka.assigns)
    await stage.done()
    assert stage.owner.heard() == [("assigned", [])]


async def test_without_an_answer_nothing_begins(stage: Stage) -> None:
    """An event loop that is stuck is told of, and the partitions are not fetched meanwhile."""
    stage.owner.answers.clear()
    stage.kafka.then(lambda: stage.kafka.assigns(ONE))
    await until(stage.owner.failure)
    await stage.done()
    assert "assignment" in stage.owner.failure()
    assert stage.kafka.paused == {ONE}


# Revocation and loss.


async def test_a_revocation_waits_for_the_owner(stage: Stage) -> None:
    """Rule 6: the partitions pass on only when their work has ended."""
    await stage.joins(ONE, TWO)
    stage.owner.answers.clear()
    stage.kafka.then(lambda: stage.kafka.revokes(ONE))
    await until(lambda: ("revoke", [ONE]) in stage.owner.heard())
    assert ("unassign", [ONE]) not in stage.kafka.said
    stage.owner.answers.set()
    await stage.done()
    assert ("unassign", [ONE]) in stage.kafka.said
    assert stage.owner.heard() == [("revoke", [ONE]), ("revoked", [ONE])]
    assert stage.kafka.held == {TWO}


async def test_a_revocation_brings_fresh_metadata(stage: Stage) -> None:
    """Rule 6: its last transaction comes before the poll returns, so the metadata is of now."""
    await stage.joins(ONE)

    def step() -> None:
        stage.kafka.generation = 6
        stage.kafka.revokes(ONE)

    stage.kafka.then(step)
    await stage.done()
    assert ("revoke", [ONE], 6) in stage.owner.told


async def test_an_owner_that_takes_too_long_loses_them(stage: Stage) -> None:
    """Rule 6: the callback returns all the same, so the work is dropped and not committed."""
    await stage.joins(ONE)
    stage.owner.answers.clear()
    stage.kafka.then(lambda: stage.kafka.revokes(ONE))
    await until(lambda: ("lost", [ONE]) in stage.owner.heard())
    await stage.done()
    assert stage.owner.heard() == [("revoke", [ONE]), ("lost", [ONE])]
    assert stage.kafka.said == [("unassign", [ONE])]
    stage.owner.answers.set()
    await settled_loop()
    assert ("revoked", [ONE]) not in stage.owner.heard()


async def test_a_loss_does_not_wait(stage: Stage) -> None:
    """What somebody else may own already is dropped, and nobody is asked."""
    await stage.joins(ONE, TWO)
    stage.kafka.then(lambda: stage.kafka.loses(ONE, TWO))
    await stage.done()
    assert stage.owner.heard() == [("lost", [ONE, TWO])]
    assert stage.kafka.said == [("unassign", [ONE, TWO])]


@pytest.mark.parametrize("goes", ["revokes", "loses"])
async def test_what_goes_along_goes_with_its_partition(goes: str) -> None:
    """The retrier's tiers: a revocation names only the backlog's partitions."""
    tiers = {place: [Assigned("retry", place.partition)] for place in (ONE, TWO)}
    async with polling(Stage(along=tiers)) as stage:
        stage.owner.begin = lambda place: [Start(place), *(Start(one) for one in tiers[place])]
        await stage.joins(ONE, TWO)
        stage.kafka.then(lambda: getattr(stage.kafka, goes)(ONE))
        await stage.done()
        assert stage.kafka.said == [("unassign", [ONE, *tiers[ONE]])]
        assert stage.kafka.held == {TWO, *tiers[TWO]}
        # Their work has ended with the test's.
        stage.kafka.held.clear()


async def test_to_stop_is_to_leave(stage: Stage) -> None:
    """SIGTERM: the revocation of what is left has ended when `stop` returns."""
    await stage.joins(ONE)
    await stage.poll.stop()
    assert stage.owner.heard() == [("revoke", [ONE]), ("revoked", [ONE])]
    assert stage.kafka.said == [("unassign", [ONE]), "close"]


# Records and ends.


async def test_records_come_in_batches_in_the_order_of_kafka(stage: Stage) -> None:
    """What is there is taken at once, with all that a record has."""
    await stage.joins(ONE, TWO)
    batches: list[Sequence[Consumed]] = []
    stage.owner.consume = batches.append
    stage.kafka.then(lambda: [Message(ONE, 4), Message(TWO, 9), Message(ONE, 5)])
    await stage.done()
    ((first, second, third),) = batches
    assert first == Consumed("orders", 0, 4, 1_004, b"k", b"v4", [])
    assert [(one.partition, one.offset) for one in (second, third)] == [(1, 9), (0, 5)]


async def test_ends_are_told_after_the_records_before_them(stage: Stage) -> None:
    """ "Nothing beyond" is only true once what is before has been handed over."""
    await stage.joins(ONE)
    stage.kafka.then(lambda: [Message(ONE, 4), Message(ONE, 5), end(ONE, 6)])
    stage.kafka.then(lambda: [end(ONE, 6)])
    await stage.done()
    assert stage.owner.heard() == [
        ("consumed", [4, 5]),
        ("end", (ONE, 6)),
        ("end", (ONE, 6)),
    ]


async def test_a_slow_event_loop_is_not_flooded(stage: Stage) -> None:
    """Promise of bounded memory: at most two batches are on their way to the event loop."""
    await stage.joins(ONE)
    before = stage.kafka.polls
    for offset in range(20):
        stage.kafka.then(lambda offset=offset: [Message(ONE, offset)])  # type: ignore[misc]
    held_up = threading.Event()
    held_up.wait(0.3)
    assert stage.kafka.polls - before <= 5
    await stage.done()
    found = [about for what, about in stage.owner.heard() if what == "consumed"]
    assert found == [[offset] for offset in range(20)]


# Orders.


async def test_orders_are_carried_out_one_after_the_other(stage: Stage) -> None:
    """They come from the event loop and are done on the poll thread."""
    await stage.joins(ONE, TWO)
    stage.poll.pause([ONE])
    stage.poll.resume([ONE])
    stage.poll.pause([TWO])
    stage.poll.commit({ONE: 7})
    stage.poll.commit({})
    await stage.done()
    assert stage.kafka.said == [
        ("pause", [ONE]),
        ("resume", [ONE]),
        ("pause", [TWO]),
        ("commit", [("orders", 0, 7)]),
    ]
    assert stage.kafka.paused == {TWO}


async def test_an_order_that_is_refused_stops_nothing(stage: Stage) -> None:
    """A partition that has just been taken away cannot be paused; the next order is done."""
    await stage.joins(ONE, TWO)
    stage.poll.pause([ONE])
    await stage.done()
    stage.kafka.refuses.add("pause")
    stage.poll.pause([TWO])
    stage.poll.resume([ONE])
    await stage.done()
    assert stage.kafka.said[-3:] == [("pause", [ONE]), ("pause", [TWO]), ("resume", [ONE])]
    assert stage.owner.failure() == ""


async def test_a_partition_that_began_paused_is_asked_about_when_it_goes_on(stage: Stage) -> None:
    """Promise of restart: librdkafka would look at it after up to a second; once it is fetched, a
    pause and its end need no question."""
    stage.owner.begin = lambda place: [Start(place, paused=True)]
    await stage.joins(ONE)
    for _ in range(2):
        stage.poll.resume([ONE])
        await stage.done()
        stage.poll.pause([ONE])
    await stage.done()
    pause = ("pause", [ONE])
    assert stage.kafka.said[-5:] == [
        ("resume", [ONE]),
        ("ask", *ONE),
        pause,
        ("resume", [ONE]),
        pause,
    ]


async def test_a_rejoin_is_a_loss_of_everything(stage: Stage) -> None:
    """Rule 3: fenced or unknown: drop the work and join anew, once nothing is assigned any more."""
    await stage.joins(ONE, TWO)
    stage.poll.rejoin()
    await stage.done()
    assert stage.owner.heard() == [("lost", [ONE, TWO])]
    assert stage.kafka.said == ["unsubscribe"]
    stage.kafka.then(lambda: [Message(ONE, 0), end(ONE, 1)])
    stage.kafka.then(lambda: stage.kafka.revokes(ONE, TWO))
    await stage.done()
    assert [what for what, _ in stage.owner.heard()] == ["lost", "revoke", "revoked"]
    assert stage.kafka.said[-2:] == [("unassign", [ONE, TWO]), ("subscribe", ["orders"])]


@pytest.mark.parametrize("goes", ["revokes", "loses"])
async def test_an_order_is_of_no_use_after_its_assignment(stage: Stage, goes: str) -> None:
    """Rule 5: only then the first event. An order for what has gone is dropped with it."""
    stage.owner.begin = lambda place: [Start(place, paused=True)]
    await stage.joins(ONE)

    def goes_and_comes_back() -> None:
        stage.poll.resume([ONE])
        getattr(stage.kafka, goes)(ONE)
        stage.kafka.assigns(ONE)

    stage.kafka.then(goes_and_comes_back)
    await stage.done()
    assert stage.kafka.paused == {ONE}


async def test_nobody_waits_for_a_client_that_does_not_close(stage: Stage) -> None:
    """SIGTERM ends a service: librdkafka may wait for a coordinator for ever (its issue 3740), but
    only after everything has been given back."""
    await stage.joins(ONE)
    stage.kafka.closes.clear()
    began = asyncio.get_running_loop().time()
    await stage.poll.stop()
    assert asyncio.get_running_loop().time() - began < ANSWER_S + CLOSE_S + 1.0
    assert stage.owner.heard()[-1] == ("revoked", [ONE])
    assert "close" not in stage.kafka.said
    stage.kafka.closes.set()


# Errors.


@pytest.mark.parametrize(
    "fatal",
    [
        KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True),
        # As `poll` hands it over: by its code, and not marked.
        KafkaError(KafkaError._FATAL, "Fatal error: fenced"),
    ],
    ids=["marked", "by its code"],
)
async def test_a_fatal_error_ends_the_consumer(stage: Stage, fatal: KafkaError) -> None:
    """An instance id that is used twice: Kafka refuses this consumer for good."""
    await stage.joins(ONE)
    stage.kafka.then(lambda: [Message(ONE, 0, fatal)])
    await until(lambda: "close" in stage.kafka.said)
    await until(stage.owner.failure)
    assert "fenced" in stage.owner.failure()


async def test_an_error_that_passes_is_no_end(stage: Stage) -> None:
    """A broker's outage only delays: librdkafka goes on by itself."""
    await stage.joins(ONE)
    passing = KafkaError(KafkaError._ALL_BROKERS_DOWN, "down")
    stage.kafka.then(lambda: [Message(ONE, 0, passing), Message(ONE, 4)])
    await stage.done()
    assert stage.owner.heard() == [("consumed", [4])]


async def test_what_cannot_go_on_is_told(stage: Stage) -> None:
    """A poll thread that dies would look like a stuck one for ever."""

    def raises() -> None:
        raise KafkaException(KafkaError(KafkaError._STATE, "the handle is gone"))

    stage.kafka.then(raises)
    await until(stage.owner.failure)
    assert "the handle is gone" in stage.owner.failure()


async def test_a_batch_that_could_not_be_taken_ends_the_service(stage: Stage) -> None:
    """Durability: a fault of ours must not lose the rest of a batch."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    await stage.joins(ONE)

    def raises(_: Sequence[Consumed]) -> None:
        raise RuntimeError("a bug")

    stage.owner.consume = raises
    stage.kafka.then(lambda: [Message(ONE, 0), Message(ONE, 1)])
    await stage.done()
    assert stage.owner.failure()
