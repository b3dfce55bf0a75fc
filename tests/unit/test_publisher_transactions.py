"""What a transaction's end means, by every kind of error that Kafka's client gives."""

import asyncio
import contextvars
import threading
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from hooklane.producer import (
    FencedError,
    NewEvent,
    NoTransactionError,
    TransactionAbortedError,
    TransactionUnknownError,
)
from hooklane.producer.testing import AsyncMemoryPublisher, MemoryPublisher
from hooklane.producer.transactions import Transactions


def error(code: int, **flags: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "said so", **flags))


BUSY = error(KafkaError.CONCURRENT_TRANSACTIONS, retriable=True)
ABORTABLE = error(KafkaError.INVALID_TXN_STATE, txn_requires_abort=True)
LATE = error(KafkaError._TIMED_OUT, txn_requires_abort=True)
SLOW = error(KafkaError._TIMED_OUT, retriable=True)
FENCED = error(KafkaError._FENCED, fatal=True)
FATAL = error(KafkaError.UNKNOWN_PRODUCER_ID, fatal=True)


class Producer:
    """Raises what it is told to, call by call; None is success."""

    def __init__(self, script: dict[str, list[KafkaException | None]]) -> None:
        self.script = script
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        waiting = self.script.get(name, [])
        told = waiting.pop(0) if waiting else None
        if told is not None:
            raise told

    def init_transactions(self, timeout: float) -> None:
        self._called("init")

    def begin_transaction(self) -> None:
        self._called("begin")

    def commit_transaction(self, timeout: float) -> None:
        self._called("commit")

    def abort_transaction(self, timeout: float) -> None:
        self._called("abort")


class World:
    """Producers that were made, with a clock that goes on by a second a look."""

    def __init__(self, **script: list[KafkaException | None]) -> None:
        self.made: list[Producer] = []
        self.script = script
        self.now = 0.0
        self.transactions = Transactions(self.renew, 5.0, self.clock)

    def renew(self) -> Producer:
        self.made.append(Producer(self.script))
        return self.made[-1]

    def clock(self) -> float:
        self.now += 1
        return self.now

    @property
    def calls(self) -> list[str]:
        return [call for one in self.made for call in one.calls]


def test_one_producer_for_many_transactions() -> None:
    """The first one fences an earlier publisher, those after it only begin and end."""
    world = World()
    for end in (world.transactions.commit, world.transactions.abort, world.transactions.commit):
        world.transactions.begin()
        end()
    assert world.calls == ["init", "begin", "commit", "begin", "abort", "begin", "commit"]
    assert len(world.made) == 1


def test_what_may_be_repeated_is_repeated() -> None:
    """A coordinator that is busy is asked again."""
    world = World(init=[BUSY, BUSY], commit=[BUSY])
    world.transactions.begin()
    world.transactions.commit()
    assert world.calls == ["init", "init", "init", "begin", "commit", "commit"]


def test_abortable_error_aborts_and_the_next_transaction_goes_on() -> None:
    """None of the events is there, for certain; the producer stays."""
    world = World(commit=[ABORTABLE])
    world.transactions.begin()
    with pytest.raises(TransactionAbortedError, match=r"none .* said so \(INVALID_TXN_STATE\)"):
        world.transactions.commit()
    world.transactions.begin()
    world.transactions.commit()
    assert world.calls == ["init", "begin", "commit", "abort", "begin", "commit"]


def test_unknown_end_is_said_and_another_producer_begins() -> None:
    """The time was up while it was being committed: a new producer lets the coordinator end it."""
    world = World(commit=[SLOW] * 5)
    world.transactions.begin()
    with pytest.raises(TransactionUnknownError, match="nobody knows"):
        world.transactions.commit()
    world.script["commit"] = []
    world.transactions.begin()
    world.transactions.commit()
    assert world.made[1].calls == ["init", "begin", "commit"]
    assert "abort" not in world.calls


def test_fenced_is_for_good() -> None:
    """Who was fenced does not fence back: each further transaction says so."""
    world = World(commit=[FENCED])
    world.transactions.begin()
    with pytest.raises(FencedError, match="another publisher with the same transactional_id"):
        world.transactions.commit()
    with pytest.raises(FencedError, match="give each its own"):
        world.transactions.begin()
    assert len(world.made) == 1


def test_fatal_error_that_is_no_fence_takes_a_new_producer() -> None:
    """The end is unknown; the next transaction begins with another producer."""
    world = World(commit=[FATAL])
    world.transactions.begin()
    with pytest.raises(TransactionUnknownError):
        world.transactions.commit()
    world.transactions.begin()
    assert len(world.made) == 2


def test_transaction_that_cannot_begin_says_what_to_look_at() -> None:
    """Nothing was sent; the next time it is tried with a new producer."""
    world = World(init=[error(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, fatal=True)])
    with pytest.raises(TransactionAbortedError, match=r"was not begun: .* rights on the trans"):
        world.transactions.begin()
    world.transactions.begin()
    assert [one.calls for one in world.made] == [["init"], ["init", "begin"]]


@pytest.mark.parametrize("heard", ["commit", "report"])
def test_producer_whose_records_timed_out_is_not_used_again(heard: str) -> None:
    """After such an abort librdkafka may hang for ever in the next transaction."""
    world = World(commit=[LATE])
    world.transactions.begin()
    if heard == "commit":
        with pytest.raises(TransactionAbortedError):
            world.transactions.commit()
    else:
        world.transactions.heard_failure("_MSG_TIMED_OUT")
        world.transactions.abort()
    world.script.clear()
    world.transactions.begin()
    world.transactions.abort()
    world.transactions.begin()
    assert world.made[1].calls == ["init", "begin", "abort", "begin"]
    assert len(world.made) == 2


def test_abort_that_fails_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The caller's own exception is on its way; the log says it, and a new producer comes next."""
    world = World(abort=[FATAL])
    world.transactions.begin()
    world.transactions.abort()
    world.transactions.begin()
    assert len(world.made) == 2
    assert "could not be aborted" in caplog.text


def test_other_threads_are_not_in_the_transaction() -> None:
    """An event of another thread would vanish with an abort: it is refused, unless it belongs."""
    publisher = MemoryPublisher(source="/x", transactional=True)
    found: list[str] = []

    def publish() -> None:
        try:
            publisher.publish("t", NewEvent(type="x"))
            found.append("published")
        except NoTransactionError:
            found.append("refused")

    def run(target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target)
        thread.start()
        thread.join(10)

    with publisher.transaction():
        run(publish)
        carried = contextvars.copy_context()
        run(lambda: carried.run(publish))
    run(lambda: carried.run(publish))
    assert found == ["refused", "published", "refused"]


def test_one_transaction_at_a_time() -> None:
    """Another thread's begins when the first has ended."""
    publisher = MemoryPublisher(source="/x", transactional=True)
    trying = threading.Event()

    def another() -> None:
        trying.set()
        with publisher.transaction():
            publisher.publish("t", NewEvent(type="second"))

    thread = threading.Thread(target=another)
    with publisher.transaction():
        thread.start()
        assert trying.wait(10)
        publisher.publish("t", NewEvent(type="first"))
    thread.join(10)
    assert [one.type for one in publisher.events] == ["first", "second"]


async def test_cancelled_task_ends_its_transaction_first() -> None:
    """Cancelled within its commit: the next transaction waits until that has come to its end."""
    publisher = AsyncMemoryPublisher(source="/x", transactional=True)
    committing, go_on = threading.Event(), threading.Event()
    commit = publisher._sender.commit
    order: list[str] = []

    def slow_commit() -> None:
        committing.set()
        assert go_on.wait(10)
        commit()
        order.append("committed")

    async def transact(kind: str) -> None:
        async with publisher.transaction():
            order.append(kind)
            await publisher.publish("t", NewEvent(type=kind))

    publisher._memory.commit = slow_commit  # type: ignore[method-assign]
    first = asyncio.create_task(transact("first"))
    await asyncio.to_thread(committing.wait, 10)
    first.cancel()
    second = asyncio.create_task(transact("second"))
    await asyncio.sleep(0)
    go_on.set()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert order == ["first", "committed", "second", "committed"]
    assert [one.type for one in publisher.events] == ["first", "second"]


async def test_exception_within_an_asyncio_transaction_aborts_it() -> None:
    """Nothing is there, and the exception goes on."""
    publisher = AsyncMemoryPublisher(source="/x", transactional=True)

    async def transact() -> None:
        async with publisher.transaction():
            await publisher.publish("t", NewEvent(type="x"))
            raise KeyError

    with pytest.raises(KeyError):
        await transact()
    assert publisher.events == []
