"""The poll thread of a group's member: what Kafka says goes to the event loop, orders come back.

librdkafka's callbacks run inside `poll`, so they run on this thread. A revocation waits here
until the event loop has ended its work; only then does the callback return and the partitions
pass on (rule 6).
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from hooklane.runtime.group_client import (
    Assigned,
    at,
    generation,
    make_known,
    named,
    places_of,
    wake,
)
from hooklane.runtime.group_reader import GroupReader
from hooklane.runtime.threads import SYSTEM_THREADS, Started, Threads
from hooklane.schemas.topics import covered

log = structlog.get_logger(__name__)

T = TypeVar("T")

_BATCHES_AHEAD = 2
_IDLE_POLL_S = 0.1
_PAUSED_POLL_S = 0.005


class Consumed(NamedTuple):
    """One record as Kafka gave it. `timestamp_ms`: milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class Start(NamedTuple):
    """Where to begin with a partition. `offset` None: at what the group has committed."""

    place: Assigned
    offset: int | None = None
    paused: bool = False


class Owner(Protocol):
    """Who works on the partitions. Everything is called in the event loop, in Kafka's order."""

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        """Where to begin with these, which are ours from now on, and with what goes along."""

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        """They are being fetched, but for the paused ones."""

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        """End the work on these; they pass on when this returns."""

    def lost(self, partitions: Sequence[Assigned]) -> None:
        """These may be somebody else's already: drop the work."""

    def consumed(self, batch: Sequence[Consumed]) -> None:
        """Records of partitions that are ours."""

    def reached_end(self, place: Assigned, offset: int) -> None:
        """There is nothing beyond `offset` now (where the consumer tells ends)."""

    def polled(self, at: float) -> None:
        """Poll returned `at` this monotonic second; self-fencing goes by it."""

    def failed(self, error: str) -> None:
        """The consumer is of no more use, for example since its instance id is used twice."""


def _nothing_along(_: Assigned) -> Sequence[Assigned]:
    return ()


class GroupPoll:
    """Polls on a thread of its own from `start` to `stop`.

    `metadata` is the group metadata of after a poll, or None while this process is no member,
    and `polls` counts the polls. These two reach the event loop in the same line as assignments
    and losses do, so that metadata of a new membership is never used for the work of an old one.
    """

    def __init__(
        self,
        reader: GroupReader,
        topics: Sequence[str],
        owner: Owner,
        monotonic: Callable[[], float],
        answer_limit_s: float,
        along: Callable[[Assigned], Sequence[Assigned]] = _nothing_along,
        threads: Threads = SYSTEM_THREADS,
        close_limit_s: float = 5.0,
    ) -> None:
        """`answer_limit_s`: how long the owner may take to begin or end the work on partitions.
        `along`: partitions that the group does not know of, and that go with one which it gives.
        `close_limit_s`: how long to wait for librdkafka once all has been given back.
        """
        self._consumer = reader.consumer
        self._reader = reader
        self._topics = list(topics)
        self._owner = owner
        self._monotonic = monotonic
        self._answer_limit_s = answer_limit_s
        self._close_limit_s = close_limit_s
        self._along = along
        self._loop = asyncio.get_running_loop()
        self._orders: deque[Callable[[], None]] = deque()
        self._ahead = threading.Semaphore(_BATCHES_AHEAD)
        self._stopping = threading.Event()
        self._paused: set[Assigned] = set()
        self._asleep: set[Assigned] = set()
        """Paused since they were assigned: nothing of them has been fetched."""
        self._ends: list[tuple[Assigned, int]] = []
        self._broken = False
        self._held: set[Assigned] = set()
        """What the group has given to us, and what has not been given back yet."""
        self._leaving = False
        """Between `rejoin` and the moment at which nothing is held any more."""
        # How often each partition was given to us: as the thread knows it, and as the loop does.
        self._terms: Counter[Assigned] = Counter()
        self._known_terms: dict[Assigned, int] = {}
        self._threads = threads
        self._thread: Started | None = None
        self._given_back, self._ended = asyncio.Event(), asyncio.Event()
        self.polls = 0
        self.metadata: bytes | None = None

    def start(self) -> None:
        self._thread = self._threads.start(self._run, "poll")

    async def stop(self) -> None:
        """Leave the group; the revocation of what is left comes before this returns.

        After that librdkafka may wait for a coordinator without end (its issue 3740), and nobody
        has to wait with it.
        """
        self._stopping.set()
        if self._thread is None:
            return
        try:
            async with asyncio.timeout(self._answer_limit_s + self._close_limit_s):
                await self._given_back.wait()
            async with asyncio.timeout(self._close_limit_s):
                await self._ended.wait()
        except TimeoutError:
            log.warning("consumer.does_not_close", seconds=self._close_limit_s)

    def pause(self, partitions: Sequence[Assigned]) -> None:
        """Fetch nothing of these until `resume`. Takes effect after the poll under way."""
        wanted = self._of_now(partitions)
        self._orders.append(lambda: self._pause(self._still(wanted)))

    def resume(self, partitions: Sequence[Assigned]) -> None:
        wanted = self._of_now(partitions)
        self._orders.append(lambda: self._resume(self._still(wanted)))

    def commit(self, offsets: Mapping[Assigned, int]) -> None:
        """Commit these for the group; nobody waits for it."""
        if offsets:
            self._orders.append(lambda: self._commit(offsets))

    def rejoin(self) -> None:
        """Give everything back without a word and join anew, as after a loss."""
        self._orders.append(self._rejoin)

    def _run(self) -> None:
        try:
            beside = {one.topic for name in self._topics for one in self._along(Assigned(name, 0))}
            make_known(self._consumer, beside)
            self._subscribe()
            while not self._stopping.is_set():
                self._carry_out_orders()
                self._poll()
                self._join_again()
            self._carry_out_orders()
            self._look_given_back()
            self._consumer.close()
        except Exception as error:
            log.exception("consumer.failed")
            self._tell(self._owner.failed, f"the consumer stopped: {error}")
        finally:
            for event in (self._given_back, self._ended):
                self._tell(_set, event)

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _of_now(self, partitions: Sequence[Assigned]) -> dict[Assigned, int]:
        return {place: self._known_terms.get(place, 0) for place in partitions}

    def _still(self, wanted: Mapping[Assigned, int]) -> list[Assigned]:
        """An order is for the assignment that it was given in, and not for a later one."""
        return [place for place, term in wanted.items() if self._terms[place] == term]

    def _pause(self, partitions: Sequence[Assigned]) -> None:
        self._paused.update(partitions)
        self._reader.pause(partitions)

    def _resume(self, partitions: Sequence[Assigned]) -> None:
        self._paused.difference_update(partitions)
        self._reader.resume(partitions)
        asleep = self._asleep.intersection(partitions)
        self._asleep -= asleep
        wake(self._consumer, asleep)

    def _commit(self, offsets: Mapping[Assigned, int]) -> None:
        wanted = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        self._consumer.commit(offsets=wanted, asynchronous=True)

    def _rejoin(self) -> None:
        self._paused.clear()
        self._asleep.clear()
        self._tell(self._owner.lost, sorted(self._held))
        self._reader.forget(self._held)
        self._consumer.unsubscribe()
        self._leaving = True

    def _join_again(self) -> None:
        """Not before everything has been given back: in the midst of a rebalance librdkafka takes
        `unsubscribe` and `subscribe` for no change, and what is assigned would stay so with
        nobody working on it."""
        if self._leaving and not self._held:
            self._leaving = False
            self._subscribe()

    def _carry_out_orders(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            try:
                order()
            except KafkaException as error:
                # A partition that has just been taken away cannot be paused or resumed any more.
                log.debug("consumer.order_refused", error=str(error))

    def _poll(self) -> None:
        messages = self._reader.batch(_PAUSED_POLL_S if self._paused else _IDLE_POLL_S)
        self._tell_metadata(self._monotonic())
        batch = [one for one in map(self._read, messages) if one is not None]
        if self._leaving:
            # It is nobody's: whoever worked on it has been told of a loss.
            batch.clear()
            self._ends.clear()
        if batch:
            self._ahead.acquire()
            self._tell(self._hand_over, batch)
        # After the records that they stand behind.
        for end in self._ends:
            self._tell(self._reached_end, end)
        self._ends.clear()

    def _hand_over(self, batch: Sequence[Consumed]) -> None:
        """What follows a batch that could not be taken is not taken either: positions and
        checkpoints would pass over it."""
        self._ahead.release()
        if self._broken:
            return
        try:
            self._owner.consumed(batch)
        except Exception as error:
            self._broken = True
            log.exception("batch.failed")
            self._owner.failed(f"records could not be taken: {error}")

    def _read(self, message: Message) -> Consumed | None:
        error = message.error()
        if error is not None:
            self._on_event(error, message)
            return None
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None:
            return None
        return Consumed(
            topic,
            partition,
            offset,
            message.timestamp()[1],
            message.key(),
            message.value(),
            cast("list[tuple[str, bytes | None]]", message.headers() or []),
        )

    def _on_event(self, error: KafkaError, message: Message) -> None:
        # What `poll` hands over as a record has the code of a fatal error and not its mark.
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - its own name
            self._tell(self._owner.failed, f"Kafka refuses this consumer for good: {error}")
            self._stopping.set()
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own name
            place = Assigned(message.topic() or "", message.partition() or 0)
            self._ends.append((place, message.offset() or 0))
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            said = "the topic does not exist: create it, or take it out of the settings"
            log.warning(said, topic=message.topic())
        else:
            log.warning("consumer.error", error=str(error))

    def _reached_end(self, end: tuple[Assigned, int]) -> None:
        self._owner.reached_end(*end)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """A new assignment, also of nothing: that says that the group has been joined.

        A static member that comes back without a topic is given it again: that is not taken.
        """
        places = [place for place in places_of(partitions) if covered(place.topic, self._topics)]
        starts = self._ask(self._owner.starts(places)) if places else []
        if starts is None:
            # Without an answer nothing can begin; the next assignment asks again.
            self._tell(self._owner.failed, "the event loop did not answer an assignment in time")
            starts = [Start(place, paused=True) for place in places]
        self._terms.update(places)
        self._held.update(places)
        consumer.incremental_assign([at(start.place, start.offset) for start in starts])
        paused = [start.place for start in starts if start.paused]
        if paused:
            self._reader.stop(paused)
            self._paused.update(paused)
            self._asleep.update(paused)
        self._tell(self._assigned, {place: self._terms[place] for place in places})

    def _taken(self, partitions: list[TopicPartition]) -> list[Assigned]:
        return [place for place in places_of(partitions) if place in self._held]

    def _assigned(self, terms: Mapping[Assigned, int]) -> None:
        self._known_terms.update(terms)
        self._owner.assigned(list(terms))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = self._taken(partitions)
        self._tell_metadata(self._monotonic())
        if self._ask(self._revoked(places)) is None:
            log.error("consumer.revoke_timeout", seconds=self._answer_limit_s)
            self._tell(self._owner.lost, places)
        self._let_go(consumer, places)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = self._taken(partitions)
        self._tell(self._owner.lost, places)
        self._let_go(consumer, places)

    def _let_go(self, consumer: Consumer, places: Sequence[Assigned]) -> None:
        self._held.difference_update(places)
        gone = [*places, *(other for place in places for other in self._along(place))]
        self._paused.difference_update(gone)
        self._asleep.difference_update(gone)
        self._reader.forget(gone)
        consumer.incremental_unassign(named(gone))
        self._look_given_back()

    def _look_given_back(self) -> None:
        if self._stopping.is_set() and not self._held:
            self._tell(_set, self._given_back)

    async def _revoked(self, places: Sequence[Assigned]) -> bool:
        await self._owner.revoke(places)
        return True

    def _ask(self, question: Coroutine[Any, Any, T]) -> T | None:
        """The event loop's answer, or None if it takes too long."""
        try:
            return self._threads.ask(question, self._loop, self._answer_limit_s)
        except TimeoutError:
            return None

    def _tell_metadata(self, at: float) -> None:
        """The broker does not check metadata with a negative generation, so it is not used."""
        found = self._consumer.consumer_group_metadata()
        self._tell(self._polled, (at, found if generation(found) >= 0 else None))

    def _polled(self, poll: tuple[float, bytes | None]) -> None:
        at, self.metadata = poll
        self.polls += 1
        self._owner.polled(at)

    def _tell(self, what: Callable[[Any], None], argument: object) -> None:
        self._loop.call_soon_threadsafe(what, argument)


def _set(event: asyncio.Event) -> None:
    event.set()
