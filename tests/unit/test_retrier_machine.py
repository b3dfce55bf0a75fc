"""The retrier's promises under any sequence of events, on a model of the backlog and the tiers.

The machine plays Kafka, the fan-out, the receivers, an operator and the group: whatever they do in
whatever order, lanes keep their order, nothing is lost, and slots are counted right.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.commands import (
    Attempt,
    Command,
    WriteAttempt,
    WriteLetter,
    WriteRelease,
    WriteStatus,
    WriteTicket,
    WriteTombstone,
)
from hooklane.retrier.spool import Waiting
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.codec import TASKS, TICKETS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import RetryTicket
from hooklane.schemas.topics import task_key
from tests.support.fanout_facts import TIERS, entry
from tests.support.retrier_facts import DELIVERED, FAILED, NEVER_MS, REFUSED, lane_id, stand, task

LANES = {"a": ("s", 0), "b": ("s", 0), "c": ("s", 1), "d": ("t", 0), "e": ("t", 1)}
"""Lane: its subscription and its partition."""
DOCUMENTS = {
    "s": {"delivery": {"max_in_flight": 2}, "retry": {"schedule": ["5s", "5s", "30s"]}},
    "t": {"delivery": {"max_in_flight": 1}, "retry": {"on_exhausted": "halt", "schedule": ["5s"]}},
}
MOST = 2
NAMES = {lane_id(name): name for name in LANES}
Place = tuple[str, int]
Stream = tuple[str, int]


@dataclass
class Fate:
    """A delivery as the world knows it."""

    delivered: bool = False
    lettered: bool = False
    resolved: bool = False
    """Its tombstone is in the backlog."""
    standing: Standing = field(default_factory=lambda: Standing(0, 0, 0, halted=False))
    """The highest of its tickets in Kafka, or its own."""
    known: Standing = field(default_factory=lambda: Standing(0, 0, 0, halted=False))
    """The same, of what the retrier has read or been told of."""
    ticket: TicketPlace | None = None


Running = WriteTicket | WriteLetter | WriteTombstone | WriteRelease


class RetrierMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        documents = [entry(name, 0, **fields) for name, fields in DOCUMENTS.items()]  # type: ignore[arg-type]
        self.bench = stand(*documents, partitions=(), most=MOST)
        self.backlog: dict[int, list[tuple[LaneId, int, bytes | None]]] = {0: [], 1: []}
        self.tiers: dict[Stream, list[RetryTicket]] = defaultdict(list)
        self.read_to = {0: 0, 1: 0}
        self.fates: dict[Place, Fate] = {}
        self.running: dict[LaneId, Attempt] = {}
        self.pending: dict[Stream, list[Running]] = defaultdict(list)
        self.released = dict.fromkeys(LANES, -1)
        self.owned: set[int] = set()
        self.open: set[int] = set()
        self.next_sequence = 0

    # What the services do, judged as it happens.

    def carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Attempt():
                    self.attempt_starts(command)
                case WriteAttempt():
                    pass
                case WriteStatus():
                    raise AssertionError
                case WriteRelease():
                    self.judge_release(command)
                    self.pending["lanes", command.owed.partition].append(command)
                case WriteTombstone():
                    self.judge_tombstone(command.waiting)
                    self.pending["backlog", command.waiting.partition].append(command)
                case WriteTicket():
                    self.pending[command.tier.text, command.waiting.partition].append(command)
                case WriteLetter():
                    self.pending["letters", command.waiting.partition].append(command)

    def attempt_starts(self, command: Attempt) -> None:
        of = command.task
        name, place = NAMES[of.lane], (NAMES[of.lane], of.sequence)
        assert of.lane not in self.running, "a lane is attempted twice at once"
        assert LANES[name][1] in self.open, "attempted in a partition that is not restored"
        earlier = [at for at in self.fates if at[0] == name and at[1] < of.sequence]
        assert all(self.is_settled(at) for at in earlier), "overtakes an earlier task"
        fate = self.fates[place]
        assert fate.known.is_due(self.bench.now_ms), "attempted although it is not due"
        assert command.number == fate.known.attempts + 1, "attempts are counted wrongly"
        assert self.is_active(LANES[name][0]), "attempted although paused or its circuit is open"
        self.running[of.lane] = command

    def is_settled(self, place: Place) -> bool:
        """Resolved, or as good as: its tombstone is on its way behind a delivery or a letter."""
        fate = self.fates[place]
        return fate.resolved or fate.delivered or fate.lettered

    def judge_tombstone(self, waiting: Waiting) -> None:
        fate = self.fates[NAMES[waiting.lane], waiting.sequence]
        deleted = waiting.subscription not in self.bench.book.entries
        assert fate.delivered or fate.lettered or deleted, "a tombstone before its dead letter"

    def judge_release(self, command: WriteRelease) -> None:
        owed = command.owed
        name = NAMES[owed.lane]
        of_lane = {at[1]: fate for at, fate in self.fates.items() if at[0] == name}
        assert all(fate.resolved for at, fate in of_lane.items() if at <= owed.sequence)
        assert owed.sequence in of_lane

    # The world.

    @initialize()
    def both_assigned(self) -> None:
        self.assigned(0)
        self.opened(0)

    @rule(name=st.sampled_from(sorted(LANES)), count=st.integers(1, 2), attempted=st.booleans())
    def redirect(self, name: str, count: int, attempted: bool) -> None:
        """The fan-out commits a redirect; the first may bring an attempt of its own."""
        subscription, partition = LANES[name]
        for index in range(count):
            sequence, self.next_sequence = self.next_sequence, self.next_sequence + 1
            values = {"attempts": 1, "due_ms": self.bench.now_ms} if attempted and not index else {}
            of = task(sequence, name, subscription, **values)
            made = of.attempts
            standing = Standing(made, 0, of.due_ms or 0, halted=False)
            self.fates[name, sequence] = Fate(standing=standing, known=standing)
            self.backlog[partition].append((of.lane, sequence, TASKS.encode(of)))

    @precondition(lambda self: self.unread())
    @rule(data=st.data(), count=st.integers(1, 4))
    def read(self, data: st.DataObject, count: int) -> None:
        """The next records of an owned partition."""
        partition = data.draw(st.sampled_from(self.unread()))
        for _ in range(count):
            self.read_one(partition)

    @precondition(lambda self: self.owned)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        """A tier is read again from where the group had committed it, which is before here."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        tier = data.draw(st.sampled_from(TIERS)).text
        tickets = self.tiers[tier, partition]
        first = data.draw(st.integers(0, len(tickets)))
        for offset, ticket in list(enumerate(tickets))[first:]:
            self.ticket_read(ticket, partition, TicketPlace(tier, offset))

    @rule()
    def start(self) -> None:
        self.carry_out(self.bench.start())

    @rule()
    def begin_what_is_marked(self) -> None:
        """Between two looks, as after each answer."""
        self.carry_out(self.bench.backlog.startable(self.bench.now_ms))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from([DELIVERED, DELIVERED, FAILED, REFUSED]))
    def attempt_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.running))), outcome)

    @precondition(lambda self: self.streams())
    @rule(data=st.data(), count=st.integers(1, 3))
    def acked(self, data: st.DataObject, count: int) -> None:
        """Kafka has the oldest records of one partition."""
        stream = data.draw(st.sampled_from(self.streams()))
        for _ in range(count):
            self.ack_one(stream)

    @precondition(lambda self: self.unresolved())
    @rule(data=st.data())
    def skipped(self, data: st.DataObject) -> None:
        """An operator, or an earlier owner: a dead letter, then a tombstone."""
        name, sequence = data.draw(st.sampled_from(self.unresolved()))
        self.skip(name, sequence)

    @precondition(lambda self: self.unresolved())
    @rule(data=st.data(), halted=st.booleans())
    def retried(self, data: st.DataObject, halted: bool) -> None:
        """An operator's ticket, due now; or an earlier owner's, halted."""
        name, sequence = data.draw(st.sampled_from(self.unresolved()))
        fate = self.fates[name, sequence]
        subscription, partition = LANES[name]
        made, nudge = fate.standing.attempts, fate.standing.nudge + 1
        due_ms = self.bench.now_ms
        ticket = RetryTicket(lane_id(name), sequence, subscription, made, nudge, due_ms, halted)
        self.append_ticket(ticket, partition, "5s")

    @precondition(lambda self: self.owned)
    @rule(data=st.data())
    def tickets_read(self, data: st.DataObject) -> None:
        """All of the tiers up to their ends, the newest first: tiers do not wait for each other."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        for tier in reversed(TIERS):
            for offset, ticket in enumerate(self.tiers[tier.text, partition]):
                self.ticket_read(ticket, partition, TicketPlace(tier.text, offset))

    @rule(seconds=st.sampled_from([1, 5, 30]))
    def time_passes(self, seconds: int) -> None:
        self.bench.now_ms += seconds * 1_000

    @rule(name=st.sampled_from(sorted(DOCUMENTS)), paused=st.booleans())
    def edited(self, name: str, paused: bool) -> None:
        if name in self.bench.book.entries:
            state = "paused" if paused else "active"
            self.bench.book.put(name, state=state, **DOCUMENTS[name])

    @precondition(lambda self: not self.running and not self.streams())
    @rule(name=st.sampled_from(sorted(DOCUMENTS)))
    def deleted(self, name: str) -> None:
        self.bench.book.entries.pop(name, None)

    @rule(is_open=st.booleans())
    def circuit(self, is_open: bool) -> None:
        if is_open:
            self.bench.open_circuits.add("http://127.0.0.1:1/")
        else:
            self.bench.open_circuits.clear()

    # Partitions come and go.

    @rule(partition=st.sampled_from([0, 1]))
    def assigned(self, partition: int) -> None:
        self.owned.add(partition)

    @rule(partition=st.sampled_from([0, 1]))
    def opened(self, partition: int) -> None:
        """Read to its end, with all that is known to be on its way there (rule 7)."""
        if partition in self.owned - self.open:
            for stream in self.streams():
                while stream[1] == partition and self.pending[stream]:
                    self.ack_one(stream)
            while self.read_to[partition] < len(self.backlog[partition]):
                self.read_one(partition)
            for tier in TIERS:
                for offset, ticket in enumerate(self.tiers[tier.text, partition]):
                    self.ticket_read(ticket, partition, TicketPlace(tier.text, offset))
            self.open.add(partition)
            self.carry_out(self.bench.backlog.open(partition))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def held(self, data: st.DataObject) -> None:
        partition = data.draw(st.sampled_from(sorted(self.open)))
        found = self.bench.backlog.hold(partition)
        assert {one.lane for one in found} >= self.running_in(partition)
        self.open.discard(partition)

    @precondition(lambda self: self.owned)
    @rule(data=st.data())
    def lost(self, data: st.DataObject) -> None:
        """Attempts are cut off; what has been given to the producer may still arrive."""
        partition = data.draw(st.sampled_from(sorted(self.owned)))
        for lane in self.running_in(partition):
            del self.running[lane]
        self.bench.backlog.forget(partition)
        self.owned.discard(partition)
        self.open.discard(partition)

    # How it is told.

    def end(self, lane: LaneId, outcome: Outcome) -> None:
        attempt = self.running.pop(lane)
        fate = self.fates[NAMES[lane], attempt.task.sequence]
        fate.delivered = fate.delivered or outcome is DELIVERED
        self.carry_out(self.bench.ends(attempt, outcome))

    def ack_one(self, stream: Stream) -> None:
        if not self.pending[stream]:
            return
        write, backlog = self.pending[stream].pop(0), self.bench.backlog
        match write:
            case WriteTombstone(of):
                self.append_tombstone(NAMES[of.lane], of.sequence)
                self.carry_out(backlog.tombstone_acked(of))
            case WriteLetter(of, _):
                self.fates[NAMES[of.lane], of.sequence].lettered = True
                self.carry_out(backlog.letter_acked(of, self.bench.now_ms))
            case WriteTicket(of, tier, standing):
                ticket = RetryTicket(
                    of.lane,
                    of.sequence,
                    of.subscription,
                    standing.attempts,
                    standing.nudge,
                    standing.due_ms,
                    standing.halted,
                )
                place = self.append_ticket(ticket, of.partition, tier.text)
                if self.bench.spool.get(of.lane, of.sequence) is not None:
                    self.now_known(NAMES[of.lane], of.sequence, standing, place)
                self.carry_out(backlog.ticket_acked(of, standing, place))
            case WriteRelease(owed):
                self.released[NAMES[owed.lane]] = owed.sequence
                backlog.release_acked(owed)

    def append_tombstone(self, name: str, sequence: int) -> None:
        self.fates[name, sequence].resolved = True
        self.backlog[LANES[name][1]].append((lane_id(name), sequence, None))

    def append_ticket(self, ticket: RetryTicket, partition: int, tier: str) -> TicketPlace:
        fate = self.fates[NAMES[ticket.lane], ticket.sequence]
        standing = Standing(ticket.attempts, ticket.nudge, ticket.due_ms, ticket.halted)
        if standing.is_above(fate.standing):
            fate.standing = standing
        self.tiers[tier, partition].append(ticket)
        return TicketPlace(tier, len(self.tiers[tier, partition]) - 1)

    def now_known(
        self, name: str, sequence: int, standing: Standing, place: TicketPlace
    ) -> None:
        fate = self.fates[name, sequence]
        if standing.is_above(fate.known):
            fate.known, fate.ticket = standing, place

    def read_one(self, partition: int) -> None:
        if self.read_to[partition] >= len(self.backlog[partition]):
            return
        lane, sequence, value = self.backlog[partition][self.read_to[partition]]
        self.read_to[partition] += 1
        key = task_key(lane, sequence)
        self.carry_out(self.bench.intake.backlog_record(partition, key, value))

    def ticket_read(self, ticket: RetryTicket, partition: int, place: TicketPlace) -> None:
        standing = Standing(ticket.attempts, ticket.nudge, ticket.due_ms, ticket.halted)
        self.now_known(NAMES[ticket.lane], ticket.sequence, standing, place)
        self.bench.intake.ticket_record(partition, place, TICKETS.encode(ticket))

    def skip(self, name: str, sequence: int) -> None:
        self.fates[name, sequence].lettered = True
        self.append_tombstone(name, sequence)

    # What is there.

    def unread(self) -> list[int]:
        return [at for at in sorted(self.owned) if self.read_to[at] < len(self.backlog[at])]

    def streams(self) -> list[Stream]:
        return sorted(stream for stream, writes in self.pending.items() if writes)

    def unresolved(self) -> list[Place]:
        return [place for place, fate in self.fates.items() if not fate.resolved]

    def running_in(self, partition: int) -> set[LaneId]:
        return {lane for lane in self.running if LANES[NAMES[lane]][1] == partition}

    def is_active(self, subscription: str) -> bool:
        found = self.bench.book.entry(subscription)
        paused = found is None or found.subscription.state == "paused"
        return not paused and not self.bench.open_circuits

    def busy(self) -> dict[str, set[LaneId]]:
        """Lanes that are attempted, or whose attempt's ticket or letter is not acked."""
        busy: dict[str, set[LaneId]] = {name: set() for name in DOCUMENTS}
        for lane, work in self.bench.backlog._work.items():
            if work.current is not None:
                busy[work.subscription].add(lane)
        return busy

    @invariant()
    def slots_are_those_of_lanes_at_work(self) -> None:
        """No event leaks a slot, and no event gives one back twice."""
        writing = {
            write.waiting.lane
            for writes in self.pending.values()
            for write in writes
            if isinstance(write, WriteTicket | WriteLetter)
            and write.waiting.partition in self.owned
        }
        taken = set().union(*self.busy().values())
        assert self.bench.backlog.in_flight == len(taken)
        assert set(self.running) <= taken <= set(self.running) | writing

    @invariant()
    def limits_hold(self) -> None:
        assert self.bench.backlog.in_flight <= MOST
        for name, lanes in self.busy().items():
            assert len(lanes) <= DOCUMENTS[name]["delivery"]["max_in_flight"]  # type: ignore[index]

    @invariant()
    def tickets_that_count_are_kept(self) -> None:
        """Rule 7: a tier's offset is committed only past tickets that are used up."""
        for (name, sequence), fate in self.fates.items():
            if fate.ticket is None or fate.resolved:
                continue
            first = self.bench.spool.first_open_ticket(LANES[name][1], fate.ticket.tier)
            found = self.bench.spool.get(lane_id(name), sequence)
            if found is None or found.ticket is not None:
                assert first is not None
                assert first <= fate.ticket.offset

    def teardown(self) -> None:
        """All goes well from now on: everything is delivered or in dead letters, and released."""
        self.bench.open_circuits.clear()
        for name, fields in DOCUMENTS.items():
            if name in self.bench.book.entries:
                self.bench.book.put(name, **fields)
        for partition in (0, 1):
            self.assigned(partition)
            if partition not in self.open:
                self.opened(partition)
        for place in self.unresolved():
            if self.fates[place].standing.halted:
                self.skip(*place)
        self.bench.now_ms = NEVER_MS
        for _ in range(4 * len(self.fates) + 8):
            self.settle()
        assert self.unresolved() == []
        assert (self.bench.spool.tasks(), self.bench.backlog.in_flight) == (0, 0)
        highest = {name: -1 for name in LANES}
        for name, sequence in self.fates:
            highest[name] = max(highest[name], sequence)
        assert self.released == highest

    def settle(self) -> None:
        for partition in (0, 1):
            while self.read_to[partition] < len(self.backlog[partition]):
                self.read_one(partition)
        for lane in list(self.running):
            self.end(lane, DELIVERED)
        for stream in self.streams():
            while self.pending[stream]:
                self.ack_one(stream)
        for place in self.unresolved():
            if self.fates[place].standing.halted:
                self.skip(*place)
        self.start()


RetrierMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None
)


@pytest.mark.filterwarnings("default")
class TestRetrierMachine(RetrierMachine.TestCase):  # type: ignore[misc,name-defined]
    """Rules 7 to 11 hold for every sequence of events that the machine can think of."""
