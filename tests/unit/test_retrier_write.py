"""The writer: in order, acknowledged, and written again when it was refused."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from hooklane.retrier import write
from hooklane.retrier.commands import WriteTombstone
from hooklane.retrier.write import Acked, FactWriter
from hooklane.schemas.outgoing import Record
from tests.support.retrier_facts import task, waiting
from tests.support.retrier_loop import until

REFUSED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
Report = Callable[[KafkaError | None, Any], None]


class Message:
    def __init__(self, offset: int | None) -> None:
        self._offset = offset

    def offset(self) -> int | None:
        return self._offset


class Broker:
    """A producer whose queue and answers the test decides upon."""

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.answering = threading.Event()
        self.answering.set()
        self.full = 0
        self.refusals: deque[bytes] = deque()
        self.breaks = 0
        self._queue: deque[tuple[bytes, Report]] = deque()

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes,
        partition: int,
        on_delivery: Report,
    ) -> None:
        if self.full:
            self.full -= 1
            raise BufferError("Local: Queue full")
        self._queue.append((key, on_delivery))

    def poll(self, timeout: float) -> int:
        if self.breaks:
            self.breaks -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        if not self.answering.wait(timeout) or not self._queue:
            # As the real one: nothing comes for a while.
            threading.Event().wait(min(timeout, 0.002))
            return 0
        served = 0
        while self._queue:
            key, report = self._queue.popleft()
            if key in self.refusals:
                self.refusals.remove(key)
                report(REFUSED, Message(None))
            else:
                self.log.append(key)
                report(None, Message(len(self.log) - 1))
            served += 1
        return served


def fact(number: int) -> tuple[WriteTombstone, Record]:
    return WriteTombstone(waiting(task(number))), Record("t", 0, str(number).encode(), None)


class Acks:
    def __init__(self) -> None:
        self.found: list[Acked] = []
        self.failures: list[str] = []
        self.threads: set[int] = set()

    def __call__(self, acked: Sequence[Acked]) -> None:
        self.threads.add(threading.get_ident())
        self.found += acked

    def sequences(self) -> list[int]:
        return [
            one.write.waiting.sequence
            for one in self.found
            if isinstance(one.write, WriteTombstone)
        ]


@asynccontextmanager
async def writing(
    broker: Broker, acks: Acks, follow: Callable[[Sequence[Acked]], None] | None = None
) -> AsyncIterator[FactWriter]:
    writer = FactWriter(broker)
    writer.start(follow or acks, acks.failures.append)
    try:
        yield writer
    finally:
        broker.answering.set()
        await writer.stop()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full queue is tried again at once."""
    monkeypatch.setattr(write, "_POLL_S", 0.005)


async def test_acknowledged_in_order_in_the_event_loop() -> None:
    """Rule 9: the acks of a partition come in the order of its records, with their offsets."""
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        for number in range(20):
            writer.write(*fact(number))
        assert await writer.flush(5)
    assert acks.sequences() == list(range(20))
    assert [one.offset for one in acks.found] == list(range(20))
    assert acks.threads == {threading.get_ident()}


async def test_a_full_queue_keeps_the_order() -> None:
    """Rule 9: what does not fit the producer's queue waits, and so does all behind it."""
    broker, acks = Broker(), Acks()
    async with writing(broker, acks) as writer:
        writer.write(*fact(0))
        broker.full = 3
        for number in (1, 2, 3, 4):
            writer.write(*fact(number))
        assert await writer.flush(5)
    assert broker.log == [b"0", b"1", b"2", b"3", b"4"]


async def test_what_kafka_refuses_for_good_ends_the_service() -> None:
    """Rule 9: a record written again behind later ones would break the order of tombstones."""
    broker, acks = Broker(), Acks()
    broker.refusals.extend([b"2", b"3"])
    async with writing(broker, acks) as writer:
        writer.write(*fact(1))
        assert await writer.flush(5)
        for number in (2, 3, 4):
            writer.write(*fact(number))
        await until(lambda: bool(acks.failures))
        writer.write(*fact(5))
        await until(lambda: b"5" in broker.log)
        assert not await writer.flush(0.02)
    assert broker.log == [b"1", b"4", b"5"]
    assert acks.sequences() == [1]
    [reason] = acks.failures
    assert "a record of t " in reason
    assert "authorization" in reason


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


async def test_an_error_of_poll_does_not_end_the_thread() -> None:
    """A broker's outage stops nothing: acknowledgements come when it is back."""
    broker, acks = Broker(), Acks()
    broker.breaks = 2
    async with writing(broker, acks) as writer:
        writer.write(*fact(1))
        await until(lambda: acks.sequences() == [1])
    assert broker.breaks == 0
