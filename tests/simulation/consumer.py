"""The consumers: one that is told what to read, and one that is a member of a group."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, TopicPartition

from tests.simulation.group import Answer, Group
from tests.simulation.log import Entry, Log
from tests.simulation.threads import Signal, sleep
from tests.simulation.wire import Wire

Place = tuple[str, int]

_LEAST_WAIT_S = 0.05
"""A poll that may return sooner would only cost time: nobody can tell the difference."""


class Message:
    """A record, or an event in a record's place."""

    def __init__(
        self, log: Log, offset: int, entry: Entry | None, error: KafkaError | None = None
    ) -> None:
        self._log, self._offset, self._entry, self._error = log, offset, entry, error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return self._log.topic

    def partition(self) -> int:
        return self._log.partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 0 if self._entry is None else self._entry.at_ms

    def key(self) -> bytes | None:
        return None if self._entry is None else self._entry.key

    def value(self) -> bytes | None:
        return None if self._entry is None else self._entry.value

    def headers(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.value() or b"")


class SimReader:
    """Reads the partitions that it is told, with read_committed. For one thread of its node."""

    def __init__(self, wire: Wire, *, tells_ends: bool) -> None:
        self._wire = wire
        self._cluster = wire.cluster
        self._loop = wire.loop
        self._tells_ends = tells_ends
        self._positions: dict[Place, int | None] = {}
        self._paused: set[Place] = set()
        self._told_end: dict[Place, int] = {}
        self._fetched: deque[Message] = deque()
        self._more = Signal(self._loop)

    def list_topics(self, topic: str, timeout: float) -> None:
        self._wire.node.outside()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.incremental_unassign([TopicPartition(*place) for place in self._positions])
        self.incremental_assign(partitions)

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._wire.node.outside()
        for one in partitions:
            place = (one.topic, one.partition)
            self._positions[place] = self._start(place, one.offset)
            self._told_end.pop(place, None)
            self._log(place).listeners.append(self._more.set)

    def incremental_unassign(self, partitions: Sequence[TopicPartition]) -> None:
        for one in partitions:
            place = (one.topic, one.partition)
            if self._positions.pop(place, -1) != -1:
                self._log(place).listeners.remove(self._more.set)
            self._paused.discard(place)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._wire.node.outside()
        self._paused.update((one.topic, one.partition) for one in partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._wire.node.outside()
        self._paused.difference_update((one.topic, one.partition) for one in partitions)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        """Asked only to wake a broker's thread, of which there is none here."""
        return 0, 0

    def poll(self, timeout: float) -> Message | None:
        if not self._fetched:
            self._fetch(1000)
        if not self._fetched:
            self._more.wait(max(timeout, _LEAST_WAIT_S))
            if self._wire.reachable:
                sleep(self._loop, self._wire.latency())
                self._fetch(1000)
        else:
            sleep(self._loop, self._wire.latency())
        return self._fetched.popleft() if self._fetched else None

    def consume(self, number: int, timeout: float) -> list[Message]:
        if timeout and not self._fetched:
            first = self.poll(timeout)
            return [] if first is None else [first, *self.consume(number - 1, 0)]
        return [self._fetched.popleft() for _ in range(min(number, len(self._fetched)))]

    def close(self) -> None:
        self.incremental_unassign([TopicPartition(*place) for place in self._positions])

    def _log(self, place: Place) -> Log:
        return self._cluster.logs[place]

    def _start(self, place: Place, offset: int) -> int | None:
        return offset if offset >= 0 else self._log(place).first

    def _fetch(self, limit: int) -> None:
        if not self._wire.reachable:
            return
        places = list(self._positions)
        # Brokers answer in any order, and what is read of one partition says nothing of another.
        self._wire.rng.shuffle(places)
        for place in places:
            position = self._positions[place]
            if position is None or place in self._paused:
                continue
            log = self._log(place)
            if position < log.first or position > log.end:
                position = log.first
            entries, after = log.read(position, limit)
            self._positions[place] = after
            for entry in entries:
                self._fetched.append(Message(log, entry.offset, entry))
            if self._tells_ends and after >= log.stable_end and self._told_end.get(place) != after:
                self._told_end[place] = after
                self._fetched.append(
                    Message(log, after, None, KafkaError(KafkaError._PARTITION_EOF))
                )


class _Event(NamedTuple):
    """What the next poll has to call back. `then` follows it."""

    call: str
    places: Sequence[Place]
    then: Callable[[], None] | None = None


class SimMember(SimReader):
    """A member of a group, as librdkafka with `cooperative-sticky` is one."""

    def __init__(
        self,
        wire: Wire,
        group: Group,
        instance: str,
        lost: Callable[[], None],
        *,
        tells_ends: bool,
    ) -> None:
        """`lost` is told when it finds out that it is a member no more."""
        super().__init__(wire, tells_ends=tells_ends)
        self._tell_lost = lost
        self._group, self._instance = group, instance
        self._calls: dict[str, Callable[[Any, list[TopicPartition]], None]] = {}
        self._events: deque[_Event] = deque()
        self._owned: list[Place] = []
        self._member = ""
        self._generation = -1
        self._joining = False
        self._joins = 0
        self._heard = 0.0
        self._subscribed = False
        self._beats = False
        self._fatal = False
        self._serving = False
        self._leaves_later = False
        self.stuck_until = 0.0

    @property
    def member(self) -> str:
        return self._member

    # What the product calls.

    def subscribe(self, topics: Sequence[str], **calls: Any) -> None:
        self._wire.node.outside()
        self._calls = calls
        self._subscribed = True
        self._leaves_later = False
        if not self._events:
            self._join_soon()
        if not self._beats:
            self._beats = True
            self._beat_later()

    def unsubscribe(self) -> None:
        """In the midst of a rebalance it comes after that, and a `subscribe` before takes it back:
        so does librdkafka."""
        self._wire.node.outside()
        self._leaves_later = True
        self._leave_if_steady()

    def consumer_group_metadata(self) -> bytes:
        return self._group.metadata(self._member, self._generation)

    def poll(self, timeout: float) -> Message | None:
        self._wire.node.outside()
        if self.stuck_until > self._loop.time():
            sleep(self._loop, self.stuck_until - self._loop.time())
        if self._fatal:
            error = KafkaError(KafkaError.FENCED_INSTANCE_ID, "fenced", fatal=True)
            sleep(self._loop, 0.01)
            return Message(next(iter(self._cluster.logs.values())), 0, None, error)
        if self._events:
            sleep(self._loop, self._wire.latency())
            self._serve()
            return None
        return super().poll(timeout)

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        self._wire.node.outside()
        member, generation = self._member, self._generation
        wanted = [(one.topic, one.partition, one.offset) for one in offsets]

        def arrive() -> None:
            if self._wire.reachable and self._group.check(member, generation) is Answer.WELL:
                for topic, partition, offset in wanted:
                    self._group.offsets[topic, partition] = offset

        self._soon(arrive)

    def close(self) -> None:
        self._subscribed = False
        self._events.clear()
        self._events.append(_Event("on_revoke", list(self._owned), self._leave))
        self._serve()
        super().close()

    # What happens in the background.

    def _leave_if_steady(self) -> None:
        if self._leaves_later and not self._joining and not self._events:
            self._leaves_later = self._subscribed = False
            self._events.append(_Event("on_revoke", list(self._owned), self._leave))

    def _serve(self) -> None:
        self._serving = True
        event = self._events.popleft()
        places = [TopicPartition(*place) for place in event.places]
        if event.call == "on_assign":
            self._owned += event.places
        if places or event.call == "on_assign":
            self._calls[event.call](self, places)
        if event.call != "on_assign":
            self._owned = [place for place in self._owned if place not in event.places]
        self._serving = False
        if event.then is not None:
            event.then()
        self._leave_if_steady()

    def _leave(self) -> None:
        if self._member and not self._instance:
            self._group.leave(self._member)
        self._member, self._generation, self._joining = "", -1, False
        if self._subscribed:
            self._join_soon()

    def _join_soon(self) -> None:
        if not self._joining and self._subscribed:
            self._joining = True
            self._soon(self._join)

    def _join(self) -> None:
        if not self._wire.reachable:
            self._soon(self._join, 0.1)
            return
        self._joins += 1
        join = self._joins

        def told(generation: int, assignment: Sequence[Place]) -> None:
            self._soon(lambda: self._joined(join, generation, assignment))

        member = self._group.join(self._member, self._instance, self._owned, told)
        if member is None:
            self._joining = False
            self._lose()
        else:
            self._member = member

    def _joined(self, join: int, generation: int, assignment: Sequence[Place]) -> None:
        if join != self._joins or not self._joining:
            return
        self._joining = False
        self._heard = self._loop.time()
        self._generation = generation
        gone = [place for place in self._owned if place not in assignment]
        added = [place for place in assignment if place not in self._owned]
        if gone:
            self._events.append(_Event("on_revoke", gone))
        rejoin = self._join_soon if gone else None
        self._events.append(_Event("on_assign", added, rejoin))
        self._more.set()

    def _beat_later(self) -> None:
        self._soon(self._beat, self._group.session_s / 12)

    def _beat(self) -> None:
        self._beat_later()
        if not self._member or self._fatal:
            return
        if not self._wire.reachable:
            if self._loop.time() - self._heard > self._group.session_s and not self._joining:
                self._lose()
            return
        self._heard = self._loop.time()
        match self._group.heartbeat(self._member, self._generation):
            case Answer.REBALANCING if not self._events and not self._serving:
                self._join_soon()
            case Answer.FENCED_INSTANCE:
                self._fatal = True
                self._more.set()
            case Answer.UNKNOWN_MEMBER:
                self._lose()
            case Answer.ILLEGAL_GENERATION if not self._joining:
                self._lose()
            case _:
                pass

    def _lose(self) -> None:
        self._tell_lost()
        self._member, self._generation, self._joining = "", -1, False
        self._events.clear()
        self._events.append(_Event("on_lost", list(self._owned), self._join_soon))
        self._more.set()

    def _soon(self, call: Callable[[], None], after: float | None = None) -> None:
        delay = self._wire.latency() if after is None else after
        self._loop.call_later(delay, call, context=self._wire.node.context.copy())

    def _start(self, place: Place, offset: int) -> int | None:
        return None if offset == -1001 else super()._start(place, offset)

    def _fetch(self, limit: int) -> None:
        for place, position in self._positions.items():
            if position is None and not self._group.pending.get(place):
                found = self._group.offsets.get(place)
                log = self._log(place)
                usable = found is not None and log.first <= found <= log.end
                self._positions[place] = found if usable else log.first
        super()._fetch(min(limit, 500))
