"""The writer: transactions one after the other, in order, acknowledged, and fenced."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from hooklane.retrier import write
from hooklane.retrier.commands import WriteAttempt, WriteTombstone
from hooklane.retrier.write import Acked, FactWriter, Told
from hooklane.retrier.written import backlog_partition
from hooklane.runtime import transactions
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.transactions import CommitResult, Outgoing
from hooklane.schemas.outgoing import Record
from tests.support.retrier_facts import task, waiting
from tests.support.retrier_loop import until

REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
COMMITTED, ABORTED, UNKNOWN = CommitResult.COMMITTED, CommitResult.ABORTED, CommitResult.UNKNOWN


class Placed:
    """As much of a message as is looked at."""

    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


class Broker:
    """Transactions whose results the test decides upon."""

    def __init__(self) -> None:
        self.steps, self.longest_s = 0, 60.0
        self.log: list[bytes] = []
        self.transactions: list[tuple[list[bytes], dict[int, int], object]] = []
        self.results: deque[CommitResult] = deque()
        self.refuses: set[bytes] = set()
        self.opens: deque[Exception] = deque()
        self.answering = threading.Event()
        self.answering.set()

    def leave_behind(self) -> None:
        """Nothing hangs here."""

    def open(self) -> None:
        if self.opens:
            raise self.opens.popleft()

    def write(
        self, records: Iterable[Outgoing], offsets: list[TopicPartition], metadata: object
    ) -> CommitResult:
        given = list(records)
        keys = [one.record.key or b"" for one in given]
        self.transactions.append((keys, {at.partition: at.offset for at in offsets}, metadata))
        assert self.answering.wait(5)
        result = self.results.popleft() if self.results else COMMITTED
        for at, one in enumerate(given):
            error = REFUSED if one.record.key in self.refuses else None
            assert one.heard is not None
            placed = Placed(None if error else len(self.log) + at)
            one.heard(error, cast("Message", cast("Any", placed)))
        if result is COMMITTED:
            self.log += keys
        return result


class Group:
    metadata: bytes | None = b"generation 1"


def fact(number: int, partition: int = 0) -> tuple[WriteTombstone, Record]:
    tombstone = WriteTombstone(waiting(task(number), partition))
    return tombstone, Record("t", partition, str(number).encode(), None)


class Acks:
    def __init__(self) -> None:
        self.found: list[Acked] = []
        self.failures: list[str] = []
        self.unknown = 0
        self.threads: set[int] = set()

    def __call__(self, acked: Sequence[Acked]) -> None:
        self.threads.add(threading.get_ident())
        self.found += acked

    def lose(self) -> None:
        self.unknown += 1

    def sequences(self) -> list[int]:
        return [
            one.write.waiting.sequence
            for one in self.found
            if isinstance(one.write, WriteTombstone)
        ]


@asynccontextmanager
async def writing(
    broker: Broker,
    acks: Acks,
    follow: Callable[[Sequence[Acked]], None] | None = None,
    group: Group | None = None,
) -> AsyncIterator[FactWriter]:
    writer = FactWriter(broker, "hooklane.backlog")
    told = Told(follow or acks, acks.failures.append, acks.lose)
    writer.start(group or Group(), lambda partition: 40 + partition, told)
    try:
        yield writer
    finally:
        broker.answering.set()
        await writer.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again at once."""
    for name in ("_HANDFUL_S", "_AGAIN_S"):
        monkeypatch.setattr(write, name, 0.001)
    monkeypatch.setattr(transactions, "_REOPEN_S", 0.001)


async def test_acknowledged_in_order_in_the_event_loop() -> None:
    """Rule 9: the acks come in the order of the records, with their offsets."""
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        for number in range(20):
            writer.write(*fact(number))
        assert await writer.flush(5)
    assert acks.sequences() == list(range(20))
    assert [one.offset for one in acks.found] == list(range(20))
    assert acks.threads == {threading.get_ident()}


async def test_after_a_pause_at_once_and_then_in_handfuls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release in a calm hour does not wait; a drain makes no transaction for single records."""
    monkeypatch.setattr(write, "_HANDFUL_S", 0.2)
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        for number in range(3):
            writer.write(*fact(number))
            await until(lambda: writer._begun > 0)
        await until(lambda: acks.sequences() == [0, 1, 2])
    assert [keys for keys, _, _ in broker.transactions] == [[b"0"], [b"1", b"2"]]


async def test_flush_gathers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation waits for the broker alone."""
    monkeypatch.setattr(write, "_HANDFUL_S", 60.0)
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        writer.write(*fact(0))
        await until(lambda: acks.sequences() == [0])
        writer.write(*fact(1))
        assert await writer.flush(5)
    assert acks.sequences() == [0, 1]


async def test_it_is_behind_while_too_much_is_not_in_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise of bounded memory: what an outage of the brokers lets pile up has an end."""
    monkeypatch.setattr(write, "_MOST", 3)
    broker, acks = Broker(), Acks()
    broker.answering.clear()
    async with writing(broker, acks) as writer:
        behind = []
        for number in range(3):
            writer.write(*fact(number))
            behind.append(writer.is_behind)
        broker.answering.set()
        assert await writer.flush(5)
        assert [*behind, writer.is_behind] == [False, False, True, False]


async def test_a_transaction_names_the_generation_and_what_it_is_about() -> None:
    """Rule 7: a retrier that was cut off is refused, for each backlog partition it writes about."""
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        writer.write(*fact(1, partition=3))
        writer.write(*fact(2, partition=5))
        assert await writer.flush(5)
    assert broker.transactions == [([b"1", b"2"], {3: 43, 5: 45}, b"generation 1")]


async def test_one_transaction_after_the_other() -> None:
    """Rule 9: what comes in meanwhile is in the next one, behind what went before."""
    broker, acks = Broker(), Acks()
    broker.answering.clear()
    async with writing(broker, acks) as writer:
        writer.write(*fact(1))
        await until(lambda: len(broker.transactions) == 1)
        for number in (2, 3):
            writer.write(*fact(number))
        broker.answering.set()
        assert await writer.flush(5)
    assert [keys for keys, _, _ in broker.transactions] == [[b"1"], [b"2", b"3"]]


async def test_after_a_certain_abort_the_same_again() -> None:
    """Rule 3: with metadata of later, and before anything that came in meanwhile."""
    broker, acks, group = Broker(), Acks(), Group()
    broker.results.append(ABORTED)
    broker.answering.clear()
    async with writing(broker, acks, group=group) as writer:
        writer.write(*fact(1))
        await until(lambda: len(broker.transactions) == 1)
        group.metadata = b"generation 2"
        writer.write(*fact(2))
        broker.answering.set()
        assert await writer.flush(5)
    assert broker.transactions[1][0] == [b"1", b"2"]
    assert broker.transactions[1][2] == b"generation 2"
    assert acks.sequences() == [1, 2]


async def test_nothing_is_written_without_a_membership() -> None:
    """Self-fencing: metadata without a generation is not checked by the broker, so not used."""
    broker, acks, group = Broker(), Acks(), Group()
    group.metadata = None
    async with writing(broker, acks, group=group) as writer:
        writer.write(*fact(1))
        assert not await writer.flush(0.02)
        assert broker.transactions == []
        group.metadata = b"generation 1"
        assert await writer.flush(5)
    assert acks.sequences() == [1]


async def test_what_is_of_a_lost_partition_is_not_written_again() -> None:
    """Rule 6: an aborted transaction is tried again only with what is still ours."""
    broker, acks = Broker(), Acks()
    broker.results.append(ABORTED)
    broker.answering.clear()
    async with writing(broker, acks) as writer:
        writer.write(*fact(1, partition=3))
        writer.write(*fact(2, partition=5))
        await until(lambda: len(broker.transactions) == 1)
        writer.drop(3)
        broker.answering.set()
        assert await writer.flush(5)
    assert broker.transactions[1][:2] == ([b"2"], {5: 45})
    assert acks.sequences() == [2]


async def test_a_transaction_that_nobody_knows_the_end_of() -> None:
    """Rule 3: all that waits is dropped, and it is told; what comes afterwards is written."""
    broker, acks = Broker(), Acks()
    broker.results.append(UNKNOWN)
    async with writing(broker, acks) as writer:
        writer.write(*fact(1))
        await until(lambda: acks.unknown == 1)
        assert await writer.flush(5)
        writer.write(*fact(2))
        assert await writer.flush(5)
    assert (broker.log, acks.sequences()) == ([b"2"], [2])


async def test_what_kafka_refuses_for_good_ends_the_service() -> None:
    """A record that is never taken would hold up everything behind it, and silently."""
    broker, acks = Broker(), Acks()
    broker.refuses.add(b"2")
    broker.results.append(ABORTED)
    async with writing(broker, acks) as writer:
        for number in (1, 2):
            writer.write(*fact(number))
        await until(lambda: bool(acks.failures))
    assert "a record of t " in acks.failures[0]
    assert "authorization" in acks.failures[0]


async def test_flush_waits_for_what_the_acks_lead_to() -> None:
    """A dead letter's ack has its tombstone written; both are behind a flush."""
    broker, acks = Broker(), Acks()

    def follow(acked: Sequence[Acked]) -> None:
        acks(acked)
        if len(acks.found) < 5:
            writer.write(*fact(len(acks.found)))

    async with writing(broker, acks, follow) as writer:
        writer.write(*fact(0))
        assert await writer.flush(5)
        assert acks.sequences() == [0, 1, 2, 3, 4]


async def test_flush_gives_up_in_time() -> None:
    """A revocation is not held up by a broker that is away."""
    broker, acks = Broker(), Acks()
    broker.answering.clear()
    async with writing(broker, acks) as writer:
        writer.write(*fact(1))
        assert not await writer.flush(0.02)
        broker.answering.set()
        assert await writer.flush(5)
    assert acks.sequences() == [1]


async def test_flush_of_nothing_returns_at_once() -> None:
    """Also before anything was ever written."""
    async with writing(Broker(), Acks()) as writer:
        assert await asyncio.wait_for(writer.flush(60), 5)


async def test_a_fault_of_ours_ends_the_service() -> None:
    """Without its writer a retrier would deliver for nothing."""
    broker, acks = Broker(), Acks()

    def follow(_: Sequence[Acked]) -> None:
        raise RuntimeError("bug")

    async with writing(broker, acks, follow) as writer:
        writer.write(*fact(1))
        await until(lambda: bool(acks.failures))
    assert "bug" in acks.failures[0]


async def test_to_open_says_what_is_wrong_and_to_reopen_goes_on() -> None:
    """Without transactions a retrier does not start; one that had them tries until it has."""
    broker = Broker()
    broker.opens.extend(KafkaException(REFUSED) for _ in range(3))
    writer = FactWriter(broker, "hooklane.backlog")
    with pytest.raises(BrokerError, match="transactional id"):
        await writer.open()
    await asyncio.wait_for(writer.reopen(), 5)
    assert not broker.opens
    await writer.stop()


def test_what_is_only_told_of_belongs_to_no_partition() -> None:
    """Attempt records do not need the generation: nobody restores from them."""
    assert backlog_partition(fact(1, partition=3)[0]) == 3
    assert backlog_partition(WriteAttempt(cast("Any", None))) is None
