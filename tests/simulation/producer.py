"""The producer of transactions, as both services have one."""

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.simulation.cluster import FencedError
from tests.simulation.consumer import Message
from tests.simulation.group import Answer, Group
from tests.simulation.log import Ending
from tests.simulation.threads import sleep
from tests.simulation.wire import Wire, timed_out

Place = tuple[str, int]
Heard = Callable[[KafkaError | None, Any], None]


class Produced(NamedTuple):
    """A record that is not written yet, and who is told where it is."""

    key: bytes
    value: bytes | None
    heard: Heard | None


_REFUSED = {
    Answer.UNKNOWN_MEMBER: KafkaError.UNKNOWN_MEMBER_ID,
    Answer.ILLEGAL_GENERATION: KafkaError.ILLEGAL_GENERATION,
    Answer.FENCED_INSTANCE: KafkaError.FENCED_INSTANCE_ID,
}


_LATER = 0.3
"""How likely records come to their partition later than the offsets to the group."""
_SLOW_S = 0.3
"""A revocation does not wait longer than this for an earlier transaction to be ended."""


class Flaw(Enum):
    """What goes wrong with the next transaction of a process."""

    ABORTED = "it is aborted"
    LOST = "it is written, and nobody hears so"
    NOT_WRITTEN = "it is not written, and nobody hears so"


class Flaws:
    """What a process' transactions meet; `told` hears of each one that nobody knows the end of."""

    def __init__(self) -> None:
        self.coming: deque[Flaw] = deque()
        self.told: Callable[[], None] = lambda: None

    def next(self) -> Flaw | None:
        return self.coming.popleft() if self.coming else None


class SimTransactions:
    """A transactional producer, for one thread of its node."""

    def __init__(self, wire: Wire, group: Group, name: str, timeout_s: float, flaws: Flaws) -> None:
        self._wire, self._cluster, self._loop = wire, wire.cluster, wire.loop
        self._group, self._name, self._timeout_s = group, name, timeout_s
        self._flaws = flaws
        self._epoch = -1
        self._buffer: dict[Place, list[Produced]] = {}
        self._offsets_sent = False

    def init_transactions(self, timeout: float) -> None:
        deadline = self._loop.time() + timeout
        while True:
            self._reach(timeout)
            epoch = self._cluster.init(self._name, self._timeout_s)
            if epoch is not None:
                self._epoch = epoch
                return
            if self._loop.time() >= deadline:
                self._flaws.told()
                raise timed_out()
            sleep(self._loop, 0.02)

    def begin_transaction(self) -> None:
        self._wire.node.acts()
        self._buffer, self._offsets_sent = {}, False

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes,
        partition: int,
        on_delivery: Heard | None = None,
    ) -> None:
        self._wire.node.outside()
        produced = Produced(key, value, on_delivery)
        self._buffer.setdefault((topic, partition), []).append(produced)

    def poll(self, timeout: float) -> int:
        return 0

    def send_offsets_to_transaction(
        self, positions: Sequence[TopicPartition], group_metadata: Any, timeout: float
    ) -> None:
        self._flush(timeout, some=True)
        self._begin(timeout)
        answer = self._checked(group_metadata)
        if answer is not Answer.WELL:
            raise KafkaException(
                KafkaError(_REFUSED[answer], answer.value, txn_requires_abort=True)
            )
        if not self._offsets_sent:
            self._offsets_sent = True
            for one in positions:
                place = (one.topic, one.partition)
                self._fenced(self._cluster.add_offset, self._group, place, one.offset)

    def commit_transaction(self, timeout: float) -> None:
        self._flush(timeout)
        flaw = self._flaws.next()
        if flaw is Flaw.ABORTED:
            raise KafkaException(
                KafkaError(KafkaError.INVALID_TXN_STATE, flaw.value, txn_requires_abort=True)
            )
        self._reach(timeout)
        if flaw is not Flaw.NOT_WRITTEN:
            self._fenced(self._cluster.end, Ending.COMMITTED)
        self._reach(timeout)
        if flaw is not None:
            self._flaws.told()
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, flaw.value))

    def abort_transaction(self, timeout: float) -> None:
        self._reach(timeout)
        self._fenced(self._cluster.end, Ending.ABORTED)
        self._reach(timeout)

    def _flush(self, timeout: float, *, some: bool = False) -> None:
        """One partition after the other, in any order; with `some` not necessarily all of them."""
        while self._buffer and not (some and self._wire.rng.random() < _LATER):
            self._begin(timeout)
            place = self._wire.rng.choice(list(self._buffer))
            records = self._buffer[place]
            first = self._cluster.log(*place).end
            self._fenced(self._cluster.write, place, [(one.key, one.value) for one in records])
            del self._buffer[place]
            self._tell(place, first, records)

    def _tell(self, place: Place, first: int, records: Sequence[Produced]) -> None:
        for offset, one in enumerate(records, first):
            if one.heard is not None:
                one.heard(None, Message(self._cluster.log(*place), offset, None))

    def _checked(self, metadata: bytes) -> Answer:
        """Whether its sender is a member of the present generation (KIP-447)."""
        return self._group.checked(metadata)

    def _begin(self, timeout: float) -> None:
        """Nothing of this transaction can be written before the one before it has ended."""
        self._reach(timeout)
        began = self._loop.time()
        while self._cluster.is_ending(self._name):
            if self._loop.time() - began > _SLOW_S:
                self._flaws.told()
            sleep(self._loop, 0.005)

    def _reach(self, timeout: float) -> None:
        self._wire.node.acts()
        try:
            self._wire.reach(timeout)
        except KafkaException:
            self._flaws.told()
            raise

    def _fenced(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(self._name, self._epoch, *arguments)
        except FencedError:
            self._flaws.told()
            raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True)) from None
