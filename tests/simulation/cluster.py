"""The simulated cluster: topics, the transaction coordinator, and what goes wrong with it."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.group import Group
from tests.simulation.log import Batch, Ending, Log
from tests.simulation.loop import SimLoop

Place = tuple[str, int]

WALL_MS = 1_700_000_000_000
_SWEEP_S = 0.5
"""How often the coordinator looks for transactions whose time is up."""


@dataclass(eq=False)
class Transaction:
    """Of one producer. `offsets` are those of a group, which nobody is told before it ends."""

    batches: dict[Place, Batch] = field(default_factory=dict)
    offsets: list[tuple[Group, Place, int]] = field(default_factory=list)
    began: float = 0.0
    decided: Ending = Ending.OPEN
    left: int = 0
    """Markers that are not written yet."""


@dataclass
class Coordinated:
    """One transactional id."""

    epoch: int = 0
    timeout_s: float = 2.0
    transaction: Transaction | None = None
    last: Ending = Ending.OPEN


class FencedError(Exception):
    """A newer producer has the transactional id, or the transaction took too long."""


class Cluster:
    """`rng` is for what happens within the cluster alone. `trace` writes down what matters."""

    def __init__(self, loop: SimLoop, rng: random.Random, trace: Callable[[str], None]) -> None:
        self.loop, self._rng, self.trace = loop, rng, trace
        self.logs: dict[Place, Log] = {}
        self.topic_ids: dict[str, str] = {}
        self.groups: dict[str, Group] = {}
        self.coordinated: dict[str, Coordinated] = {}
        self.away_until = 0.0
        self.slow_markers_until = 0.0
        self.tombstones_kept_ms = 3_000
        self.decided: Callable[[Transaction], None] | None = None
        loop.call_later(_SWEEP_S, self._sweep)

    def make_topic(self, name: str, partitions: int) -> None:
        self.topic_ids[name] = f"{len(self.topic_ids) + 1:032x}"
        for number in range(partitions):
            self.logs[name, number] = Log(name, number)

    def log(self, topic: str, partition: int) -> Log:
        return self.logs[topic, partition]

    def of_topic(self, topic: str) -> list[Log]:
        return [log for (name, _), log in self.logs.items() if name == topic]

    def wall_ms(self) -> int:
        return WALL_MS + round(self.loop.time() * 1000)

    # Transactions.

    def init(self, name: str, timeout_s: float) -> int | None:
        """A new epoch; None while an earlier transaction is being ended."""
        found = self.coordinated.setdefault(name, Coordinated())
        found.timeout_s = timeout_s
        if found.transaction is not None:
            if found.transaction.decided is Ending.OPEN:
                found.epoch += 1
                self.end(name, found.epoch, Ending.ABORTED)
            return None
        found.epoch += 1
        return found.epoch

    def write(
        self, name: str, epoch: int, place: Place, records: Iterable[tuple[bytes, bytes | None]]
    ) -> None:
        """One batch into one partition."""
        transaction = self._ongoing(name, epoch)
        log = self.logs[place]
        batch = transaction.batches.get(place)
        if batch is None:
            batch = transaction.batches[place] = log.begin()
        for key, value in records:
            log.append(key, value, self.wall_ms(), batch)

    def add_offset(self, name: str, epoch: int, group: Group, place: Place, offset: int) -> None:
        """The member was found to be one before."""
        transaction = self._ongoing(name, epoch)
        transaction.offsets.append((group, place, offset))
        group.pending.setdefault(place, []).append(transaction)

    def end(self, name: str, epoch: int, ending: Ending) -> None:
        """Decide it; partitions and group learn of it one by one."""
        found = self._checked(name, epoch)
        transaction = found.transaction
        if transaction is None:
            return
        if transaction.decided is not Ending.OPEN:
            return
        transaction.decided = found.last = ending
        if ending is Ending.COMMITTED and self.decided is not None:
            self.decided(transaction)
        transaction.left = len(transaction.batches) + 1
        for place, batch in transaction.batches.items():
            self._later(partial(self._mark, found, place, batch))
        self._later(lambda: self._mark_offsets(found))

    def _mark(self, found: Coordinated, place: Place, batch: Batch) -> None:
        transaction = found.transaction
        assert transaction is not None
        self.logs[place].mark(batch, transaction.decided, self.wall_ms())
        self._marked(found)

    def _mark_offsets(self, found: Coordinated) -> None:
        transaction = found.transaction
        assert transaction is not None
        for group, place, offset in transaction.offsets:
            group.pending[place].remove(transaction)
            if transaction.decided is Ending.COMMITTED:
                group.offsets[place] = offset
        self._marked(found)

    def _marked(self, found: Coordinated) -> None:
        assert found.transaction is not None
        found.transaction.left -= 1
        if found.transaction.left == 0:
            found.transaction = None

    def _ongoing(self, name: str, epoch: int) -> Transaction:
        found = self._checked(name, epoch)
        if found.transaction is None:
            found.transaction = Transaction(began=self.loop.time())
        return found.transaction

    def _checked(self, name: str, epoch: int) -> Coordinated:
        found = self.coordinated[name]
        if found.epoch != epoch:
            raise FencedError
        return found

    def is_ending(self, name: str) -> bool:
        """Whether the last transaction is decided and not yet marked everywhere."""
        transaction = self.coordinated[name].transaction
        return transaction is not None and transaction.decided is not Ending.OPEN

    def _later(self, call: Callable[[], None]) -> None:
        slow = self._rng.random() < (0.6 if self.loop.time() < self.slow_markers_until else 0.1)
        delay = self._rng.uniform(0.2, 1.5) if slow else self._rng.uniform(0.0005, 0.005)
        self.loop.at_large(delay, call)

    def _sweep(self) -> None:
        """Transactions that took too long are aborted, and their producers fenced."""
        for name, found in self.coordinated.items():
            transaction = found.transaction
            late = (
                transaction is not None
                and transaction.decided is Ending.OPEN
                and self.loop.time() - transaction.began > found.timeout_s
            )
            if late:
                self.trace(f"kafka: the transaction of {name} took too long")
                found.epoch += 1
                self.end(name, found.epoch, Ending.ABORTED)
        self.loop.call_later(_SWEEP_S, self._sweep)

    def go_away(self, seconds: float) -> None:
        """Nobody reaches it; sessions go on where they stopped."""
        self.away_until = max(self.away_until, self.loop.time() + seconds)
        for group in self.groups.values():
            for member in group.members.values():
                member.heard = max(member.heard, self.away_until)

    # The cleaner.

    def compact(self, topic: str) -> None:
        before = self.wall_ms() - self.tombstones_kept_ms
        for log in self.of_topic(topic):
            log.compact(before)
