"""What stands around the retrier's loops: a clock, receivers, a writer, Kafka's answers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hooklane.delivery import attempt, receivers
from hooklane.delivery.attempt import Attempted
from hooklane.delivery.circuit import Circuits, CircuitTerms
from hooklane.delivery.limits import RateLimits
from hooklane.delivery.outcome import Outcome
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Attempt
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.intake import Intake
from hooklane.retrier.resolve import Resolver
from hooklane.retrier.restore import BacklogFacts
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.work import Workshop
from hooklane.retrier.write import Acked
from hooklane.retrier.written import Layout, Write, backlog_partition
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.fence import Fence
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.metrics import Metrics, Service
from hooklane.schemas.book import Entry
from hooklane.schemas.codec import TASKS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeliveryTask, LaneRecord
from hooklane.schemas.topics import TopicNames, task_key
from tests.support.fanout_facts import POLICY, entry
from tests.support.retrier_facts import (
    NOW_MS,
    CopyingSpool,
    Documents,
    attempt_record,
    waiting,
)

PARTITIONS = 12


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Let the loop run until it holds; fails after the deadline."""
    async with asyncio.timeout(seconds):
        # What is waited for tells nobody: it is a plain value of the thing under test.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class HandClock:
    """Stands still unless the test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.ms = NOW_MS

    def monotonic(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return self.ms


@dataclass
class Running:
    """An attempt that the test ends."""

    delivery: attempt.Delivery
    done: Callable[[Attempted], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Receivers:
    """Takes attempts; the test says how they end."""

    def __init__(self) -> None:
        self.started: list[Running] = []

    def start(self, delivery: attempt.Delivery, done: Callable[[Attempted], None]) -> Running:
        running = Running(delivery, done)
        self.started.append(running)
        return running

    def sequences(self) -> list[int]:
        return [one.delivery.sequence for one in self.started]

    def end(self, of: DeliveryTask, outcome: Outcome) -> None:
        """The newest attempt of this task ends."""
        running = next(
            one
            for one in reversed(self.started)
            if (one.delivery.lane, one.delivery.sequence) == (of.lane, of.sequence)
        )
        assert not running.cancelled, "nothing comes of an attempt that was cut off"
        number = running.delivery.attempt
        record = attempt_record(Attempt(waiting(of), of, entry(), number), outcome)
        running.done(Attempted(outcome, record))


class Writer:
    """Keeps what is written; the test has it acknowledged."""

    def __init__(self) -> None:
        self.written: list[tuple[Write, Record]] = []
        self.is_behind = False

    def write(self, write: Write, record: Record) -> None:
        self.written.append((write, record))

    def drop(self, partition: int) -> None:
        kept = [one for one in self.written if backlog_partition(one[0]) != partition]
        self.written = kept

    def take(self) -> list[Acked]:
        """All that is written so far, each at offset 7."""
        taken, self.written = self.written, []
        return [Acked(write, 7) for write, _ in taken]

    def topics(self) -> list[str]:
        return [record.topic.removeprefix("hooklane.") for _, record in self.written]


@dataclass
class Watching:
    """What the health server is told."""

    told: list[str] = field(default_factory=list)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        self.told.append(f"assigned {[number for _, number in partitions]}")

    def restored(self, partition: tuple[str, int]) -> None:
        self.told.append(f"restored {partition[1]}")

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        self.told.append(f"revoked {[number for _, number in partitions]}")

    def restoring(self, partition: tuple[str, int], left: int) -> None:
        self.told.append(f"restoring {partition[1]}: {left}")


class Answers:
    """Kafka's answers. `asked`: the questions in order; one whose event is cleared hangs."""

    def __init__(self, end: int = 0) -> None:
        self.asked: list[str] = []
        self.end = end
        self.of_backlog = BacklogFacts("T", 0, 100, 86_400_000)
        self.blocked: dict[LaneId, LaneRecord] = {}
        self.refusals = 0
        self.fault: Exception | None = None
        self.lanes_answered = asyncio.Event()
        self.lanes_answered.set()

    async def facts(self, places: Sequence[Assigned]) -> dict[Assigned, BacklogFacts]:
        self._ask("facts")
        return dict.fromkeys(places, self.of_backlog)

    async def high_watermarks(self, places: Iterable[Assigned]) -> dict[Assigned, int]:
        self._ask("ends")
        return dict.fromkeys(places, self.end)

    async def predecessors_ended(self, places: Sequence[Assigned]) -> None:
        self._ask("predecessors")

    async def blocked_lanes(self) -> dict[LaneId, LaneRecord]:
        self._ask("lanes")
        await self.lanes_answered.wait()
        return self.blocked

    def _ask(self, question: str) -> None:
        self.asked.append(question)
        if self.fault is not None:
            raise self.fault
        if self.refusals:
            self.refusals -= 1
            raise BrokerError("no answer")


class Shop:
    """A workshop on a spool in memory, with everything around it. Partition 0 is open."""

    def __init__(
        self,
        *entries: Entry,
        partitions: Iterable[int] = (0,),
        terms: CircuitTerms | None = None,
        spool: CopyingSpool | None = None,
    ) -> None:
        self.clock = HandClock()
        self.watching = Watching()
        fence = Fence(9.0, 0.5, 0.0)
        self.metrics = Metrics(Service.RETRIER)
        self.around = Surroundings(fence, self.clock, self.metrics, self.watching, 2.0)
        self.spool = spool or CopyingSpool()
        self.receivers, self.writer = Receivers(), Writer()
        self.book = Documents(*(entries or (entry(),)))
        self.circuits = Circuits(terms)
        limits = receivers.Receivers(self.circuits, RateLimits(), self.clock.monotonic)
        gate = TaskGate(self.book, limits, 100)
        self.backlog = Backlog(self.spool, gate, Resolver(POLICY), 100)
        self.intake = Intake(self.spool, self.backlog)
        self.workshop = Workshop(
            self.backlog,
            self.spool,
            self.receivers,
            self.writer,
            Layout(TopicNames(), PARTITIONS, 1 << 20),
            self.circuits,
            self.around,
        )
        for partition in partitions:
            self.backlog.open(partition)

    def redirect(self, *tasks: DeliveryTask, partition: int = 0) -> None:
        for of in tasks:
            key = task_key(of.lane, of.sequence)
            self.intake.backlog_record(partition, key, TASKS.encode(of))

    def step(self) -> None:
        """As often as the service does it."""
        self.backlog.look(self.clock.ms)
        self.workshop.step()

    def ack(self) -> None:
        """Everything that is written by now."""
        self.workshop.acked(self.writer.take())
