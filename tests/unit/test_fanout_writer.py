"""The transaction's writer: what is known of a transaction after each error at each step."""

from collections import defaultdict, deque
from enum import Enum
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from hooklane.fanout.delivery import Place
from hooklane.fanout.redirect import Share
from hooklane.fanout.writer import CommitResult, TransactionWriter
from hooklane.schemas.outgoing import Record

BRIEF_S = 0.05
METADATA = b"CGMDv2:metadata"
SHARES = (Share(Place("orders", "T", 0), 7), Share(Place("orders", "T", 1), 9))
RECORDS = (Record("lanes", 0, b"blocked", b"1"), Record("backlog", 3, b"task", None))


class Flaw(Enum):
    """The classes of errors that librdkafka's transactional calls know."""

    RETRIABLE = "retriable"
    ABORTABLE = "abortable"
    FATAL = "fatal"
    OTHER = "other"

    def raised(self) -> KafkaException:
        return KafkaException(
            KafkaError(
                KafkaError._STATE,
                f"the test says: {self.value}",
                fatal=self is Flaw.FATAL,
                retriable=self is Flaw.RETRIABLE,
                txn_requires_abort=self is Flaw.ABORTABLE,
            )
        )


class Producer:
    """Fails at the steps that the test names; records what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.produced: list[Record] = []
        self.offsets: list[tuple[str, int, int]] = []
        self.metadata: object = None
        self.fails: dict[str, deque[Exception]] = defaultdict(deque)
        self.always: dict[str, Flaw] = {}

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fails[name]:
            raise self.fails[name].popleft()
        if name in self.always:
            raise self.always[name].raised()

    def init_transactions(self, timeout: float) -> None:
        self._called("init")

    def begin_transaction(self) -> None:
        self._called("begin")

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int) -> None:
        self._called("produce")
        self.produced.append(Record(topic, partition, key, value))

    def poll(self, timeout: float) -> int:
        self._called("poll")
        return 0

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float
    ) -> None:
        self._called("offsets")
        self.offsets = [(one.topic, one.partition, one.offset) for one in positions]
        self.metadata = group_metadata

    def commit_transaction(self, timeout: float) -> None:
        self._called("commit")

    def abort_transaction(self, timeout: float) -> None:
        self._called("abort")


class Stage:
    """A writer that is open, and all producers that it has had."""

    def __init__(self) -> None:
        self.producers: list[Producer] = []
        self.writer = TransactionWriter(self._connect, BRIEF_S)
        self.writer.open()

    def _connect(self) -> Producer:
        self.producers.append(Producer())
        return self.producers[-1]

    def write(self) -> CommitResult:
        return self.writer.write(SHARES, RECORDS, METADATA)


WELL = ["begin", "produce", "produce", "offsets", "commit"]
STEPS = ("begin", "produce", "offsets", "commit")


def test_records_and_offsets_are_one_transaction() -> None:
    """Rule 3: all records, then the offsets of every share with the group's metadata, then the
    commit."""
    stage = Stage()
    assert stage.write() is CommitResult.COMMITTED
    (producer,) = stage.producers
    assert producer.calls == ["init", *WELL]
    assert producer.produced == list(RECORDS)
    assert producer.offsets == [("orders", 0, 7), ("orders", 1, 9)]
    assert producer.metadata == METADATA


def test_one_producer_writes_one_transaction_after_the_other() -> None:
    """A producer lasts as long as its transactions end for certain."""
    stage = Stage()
    for _ in range(3):
        assert stage.write() is CommitResult.COMMITTED
    assert stage.producers[0].calls == ["init", *WELL * 3]


@pytest.mark.parametrize("step", STEPS)
def test_what_may_be_repeated_is_repeated(step: str) -> None:
    """A retriable error is no end: librdkafka goes on where it stopped."""
    stage = Stage()
    stage.producers[0].fails[step].extend([Flaw.RETRIABLE.raised(), Flaw.RETRIABLE.raised()])
    assert stage.write() is CommitResult.COMMITTED
    assert len(stage.producers) == 1
    assert stage.producers[0].produced == list(RECORDS)
    assert stage.producers[0].calls.count(step) == WELL.count(step) + 2


@pytest.mark.parametrize("step", STEPS)
def test_an_abortable_error_is_answered_by_an_abort(step: str) -> None:
    """Rule 3: a certain abort, after which the same producer goes on."""
    stage = Stage()
    stage.producers[0].fails[step].append(Flaw.ABORTABLE.raised())
    assert stage.write() is CommitResult.ABORTED
    assert stage.producers[0].calls[-1] == "abort"
    assert stage.write() is CommitResult.COMMITTED
    assert len(stage.producers) == 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("flaw", [Flaw.FATAL, Flaw.OTHER, Flaw.RETRIABLE])
def test_fenced_or_uncertain_is_unknown(step: str, flaw: Flaw) -> None:
    """Rule 3: fenced, or nobody can say, also when the time for repeating is up: no abort is
    claimed, and nothing is written before a new producer has fenced the old one."""
    stage = Stage()
    stage.producers[0].always[step] = flaw
    assert stage.write() is CommitResult.UNKNOWN
    assert "abort" not in stage.producers[0].calls
    told = len(stage.producers[0].calls)
    assert stage.write() is CommitResult.COMMITTED
    first, second = stage.producers
    assert len(first.calls) == told
    assert second.calls == ["init", *WELL]


@pytest.mark.parametrize("flaw", [Flaw.FATAL, Flaw.OTHER, Flaw.RETRIABLE, Flaw.ABORTABLE])
def test_an_abort_that_fails_is_unknown(flaw: Flaw) -> None:
    """Only an abort that was carried out is a certain one."""
    stage = Stage()
    stage.producers[0].fails["commit"].append(Flaw.ABORTABLE.raised())
    stage.producers[0].always["abort"] = flaw
    assert stage.write() is CommitResult.UNKNOWN
    assert stage.write() is CommitResult.COMMITTED
    assert len(stage.producers) == 2


def test_a_producer_whose_records_timed_out_is_not_used_again() -> None:
    """Rule 3: the abort is certain, and the same content goes out by another producer: librdkafka
    did not come back from the next transaction of one that had needed another epoch."""
    stage = Stage()
    stage.write()
    timed_out = KafkaError(KafkaError._TIMED_OUT, "2 messages timed out", txn_requires_abort=True)
    stage.producers[0].fails["commit"].append(KafkaException(timed_out))
    assert stage.write() is CommitResult.ABORTED
    assert stage.producers[0].calls[-1] == "abort"
    assert stage.write() is CommitResult.COMMITTED
    assert len(stage.producers) == 2
    assert stage.producers[1].calls[0] == "init"


def test_an_abort_is_repeated_too() -> None:
    """An abort that may be repeated is, and then it is certain."""
    stage = Stage()
    stage.producers[0].fails["offsets"].append(Flaw.ABORTABLE.raised())
    stage.producers[0].fails["abort"].append(Flaw.RETRIABLE.raised())
    assert stage.write() is CommitResult.ABORTED
    assert stage.producers[0].calls[-2:] == ["abort", "abort"]


def test_a_full_queue_is_waited_for() -> None:
    """A transaction larger than librdkafka's queue is no error: polling makes room."""
    stage = Stage()
    stage.producers[0].fails["produce"].extend([BufferError(), BufferError()])
    assert stage.write() is CommitResult.COMMITTED
    begun = stage.producers[0].calls[1:7]
    assert begun == ["begin", "produce", "poll", "produce", "poll", "produce"]
    assert stage.producers[0].produced == list(RECORDS)


@pytest.mark.parametrize("flaw", [Flaw.FATAL, Flaw.OTHER, Flaw.RETRIABLE])
def test_no_producer_no_transaction(flaw: Flaw) -> None:
    """When the new producer cannot fence the old one, nothing is written, and it is tried anew."""
    ready: list[Producer] = []
    writer = TransactionWriter(lambda: ready.pop(0), BRIEF_S)
    failing, good = Producer(), Producer()
    failing.always["init"] = flaw
    ready += [failing, good]
    assert writer.write(SHARES, RECORDS, METADATA) is CommitResult.UNKNOWN
    assert set(failing.calls) == {"init"}
    assert writer.write(SHARES, RECORDS, METADATA) is CommitResult.COMMITTED
    assert good.calls == ["init", *WELL]


def test_to_fence_may_take_several_tries() -> None:
    """The coordinator may still be ending the transaction of the one before: that is awaited."""
    producer = Producer()
    producer.fails["init"].extend([Flaw.RETRIABLE.raised()] * 3)
    TransactionWriter(lambda: producer, BRIEF_S).open()
    assert producer.calls == ["init"] * 4


def test_open_says_what_is_wrong() -> None:
    """A process that cannot begin transactions must not start: the error comes out."""
    producer = Producer()
    producer.always["init"] = Flaw.FATAL
    with pytest.raises(KafkaException):
        TransactionWriter(lambda: producer, BRIEF_S).open()
