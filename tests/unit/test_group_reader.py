"""What is kept of paused partitions: nothing lost, doubled or out of turn."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_reader import GroupReader

A, B = Assigned("orders", 0), Assigned("orders", 1)
KEEPS = 4


@dataclass(frozen=True)
class Record:
    place: Assigned
    number: int
    size: int = 10
    failed: KafkaError | None = None

    def topic(self) -> str:
        return self.place.topic

    def partition(self) -> int:
        return self.place.partition

    def error(self) -> KafkaError | None:
        return self.failed

    def __len__(self) -> int:
        return self.size


class Kafka:
    """Gives out what comes next of each partition that is not paused, as librdkafka does: a
    partition goes on where the last record that it gave out stood."""

    def __init__(self) -> None:
        self.paused: set[Assigned] = set()
        self.arriving: list[Record] = []
        self.within: Callable[[], None] = lambda: None
        """What a callback does in the midst of a call."""

    def poll(self, timeout: float) -> Message | None:
        taken = self.consume(1, timeout)
        return taken[0] if taken else None

    def consume(self, number: int, _: float) -> list[Message]:
        free = [one for one in self.arriving if one.place not in self.paused][:number]
        for one in free:
            self.arriving.remove(one)
        if number != 1:
            self.within()
        return cast("list[Message]", free)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused |= {Assigned(one.topic, one.partition) for one in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self.paused -= {Assigned(one.topic, one.partition) for one in partitions}


class Stage:
    def __init__(self, keeps: int = KEEPS) -> None:
        self.kafka = Kafka()
        self.reader = GroupReader(cast("Consumer", self.kafka), 500, keeps)
        self._next: defaultdict[Assigned, int] = defaultdict(int)

    def arrive(self, place: Assigned, count: int = 1, size: int = 10) -> None:
        for _ in range(count):
            self.kafka.arriving.append(Record(place, self._next[place], size))
            self._next[place] += 1

    def batch(self) -> list[tuple[Assigned, int]]:
        records = cast("list[Record]", self.reader.batch(0.1))
        return [(one.place, one.number) for one in records]


def test_what_comes_of_a_paused_partition_is_kept_and_comes_first_later() -> None:
    """The consumer goes on, so that nothing is fetched twice; the order is Kafka's."""
    stage = Stage()
    stage.reader.pause([A])
    stage.arrive(A, 2)
    stage.arrive(B)
    assert stage.batch() == [(B, 0)]
    assert stage.kafka.paused == set()
    stage.reader.resume([A])
    stage.arrive(A)
    assert stage.batch() == [(A, 0), (A, 1), (A, 2)]


def test_a_full_shelf_pauses_the_consumer_until_the_partition_goes_on() -> None:
    """Promise of bounded memory: no more is kept than the limit and a batch."""
    stage = Stage()
    stage.reader.pause([A])
    stage.arrive(A, KEEPS)
    assert stage.batch() == []
    assert stage.kafka.paused == {A}
    stage.reader.resume([A])
    assert stage.kafka.paused == set()
    assert len(stage.batch()) == KEEPS


def test_shelves_are_full_by_their_bytes_too() -> None:
    """Promise of bounded memory: a few large records are as much as many small ones, and of many
    partitions together; what was handed out counts no more."""
    stage = Stage()
    stage.reader.pause([A, B])
    stage.arrive(A, 1, size=5_000_000)
    stage.batch()
    assert stage.kafka.paused == set()
    stage.arrive(B, 1, size=5_000_000)
    stage.batch()
    assert stage.kafka.paused == {B}
    stage.reader.resume([A, B])
    stage.batch()
    stage.reader.pause([A])
    stage.arrive(A, 1, size=5_000_000)
    stage.batch()
    assert stage.kafka.paused == set()


def test_where_nothing_is_kept_a_pause_is_the_consumers() -> None:
    """A consumer that tells ends must not give out records behind them."""
    stage = Stage(keeps=0)
    stage.reader.pause([A])
    assert stage.kafka.paused == {A}
    stage.reader.resume([A])
    assert stage.kafka.paused == set()


def test_a_partition_that_began_paused_is_resumed_whatever_was_said_meanwhile() -> None:
    """A pause on top of the first one must not hide that the consumer stands still."""
    stage = Stage()
    stage.reader.stop([A])
    stage.reader.pause([A])
    stage.reader.resume([A])
    assert stage.kafka.paused == set()


def test_a_partition_paused_again_takes_back_what_was_not_handed_out() -> None:
    """Nothing comes out between a pause and the next resume, and nothing is lost by it."""
    stage = Stage()
    stage.reader.pause([A])
    stage.arrive(A, 2)
    stage.batch()
    stage.reader.resume([A])
    stage.reader.pause([A])
    assert stage.batch() == []
    stage.reader.resume([A])
    assert stage.batch() == [(A, 0), (A, 1)]


def test_what_was_kept_of_a_partition_that_went_away_is_gone() -> None:
    """Its next owner reads it; here it would look like a gap when it came back."""
    stage = Stage()
    stage.reader.pause([A])
    stage.arrive(A, 2)
    stage.batch()
    stage.reader.forget([A])
    stage.reader.stop([A])
    stage.reader.resume([A])
    assert stage.batch() == []


def test_what_was_read_while_its_partition_went_and_came_back_is_not_kept() -> None:
    """Kept, it would come up in the new term; handed out now, it is known to be nobody's."""
    stage = Stage()

    def given_away_and_back() -> None:
        stage.reader.forget([A])
        stage.reader.stop([A])

    stage.kafka.within = given_away_and_back
    stage.arrive(A, 2)
    assert stage.batch() == [(A, 0), (A, 1)]
    stage.kafka.within = lambda: None
    stage.reader.resume([A])
    assert stage.batch() == []


def test_events_are_never_kept() -> None:
    """An error that names a paused partition is told at once."""
    stage = Stage()
    stage.reader.pause([A])
    fatal = KafkaError(KafkaError._FATAL)
    stage.kafka.arriving.append(Record(A, 0, failed=fatal))
    assert stage.batch() == [(A, 0)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from([A, B]), st.integers(1, 7)),
        st.tuples(st.sampled_from(["pause", "resume"]), st.sampled_from([A, B]), st.just(0)),
        st.tuples(st.just("batch"), st.just(A), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_each_record_comes_once_in_order_and_none_while_its_partition_is_paused(
    steps: list[tuple[str, Assigned, int]],
) -> None:
    """Whatever is paused and resumed when, a partition's records come as they stand in Kafka."""
    stage = Stage()
    paused: set[Assigned] = set()
    got: defaultdict[Assigned, list[int]] = defaultdict(list)

    def take() -> None:
        for place, number in stage.batch():
            assert place not in paused
            got[place].append(number)

    for what, place, count in steps:
        match what:
            case "arrive":
                stage.arrive(place, count)
            case "pause":
                paused.add(place)
                stage.reader.pause([place])
            case "resume":
                paused.discard(place)
                stage.reader.resume([place])
            case _:
                take()
    paused.clear()
    stage.reader.resume([A, B])
    while stage.kafka.arriving:
        take()
    take()
    for place in (A, B):
        assert got[place] == list(range(stage._next[place]))
