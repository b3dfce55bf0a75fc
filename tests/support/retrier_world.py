"""The world around the retrier's decisions, for state machines: Kafka, receivers, operators.

It carries out what the decisions ask for and judges it by the promises as it happens.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

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
from hooklane.schemas.codec import TICKETS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import RetryTicket
from hooklane.schemas.topics import task_key
from tests.support.fanout_facts import entry
from tests.support.retrier_facts import DELIVERED, lane_id, stand

LANES = {"a": ("s", 0), "b": ("s", 0), "c": ("s", 1), "d": ("t", 0), "e": ("t", 1)}
"""Lane: its subscription and its partition."""
DOCUMENTS: dict[str, Any] = {
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
    gone: bool = False
    """The retrier has read its tombstone, or been told that it is written."""
    standing: Standing = field(default_factory=lambda: Standing(0, 0, 0, halted=False))
    """The highest of its tickets in Kafka, or its own."""
    known: Standing = field(default_factory=lambda: Standing(0, 0, 0, halted=False))
    """The same, of what the retrier has read or been told of."""
    ticket: TicketPlace | None = None


Running = WriteTicket | WriteLetter | WriteTombstone | WriteRelease


class RetrierWorld:
    """`fates`: every delivery that was redirected, by lane and sequence."""

    def __init__(self) -> None:
        super().__init__()
        documents = [entry(name, 0, **fields) for name, fields in DOCUMENTS.items()]
        self.bench = stand(*documents, partitions=(), most=MOST)
        self.backlog: dict[int, list[tuple[LaneId, int, bytes | None]]] = {0: [], 1: []}
        self.tiers: dict[Stream, list[RetryTicket]] = defaultdict(list)
        self.read_to = {0: 0, 1: 0}
        self.saved = {0: 0, 1: 0}
        """The checkpoints."""
        self.fates: dict[Place, Fate] = {}
        self.running: dict[LaneId, Attempt] = {}
        self.pending: dict[Stream, list[Running]] = defaultdict(list)
        self.released = dict.fromkeys(LANES, -1)
        self.owned: set[int] = set()
        self.open: set[int] = set()
        self.next_sequence = 0

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
        assert not fate.gone, "a task rises from the dead"
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

    def end(self, lane: LaneId, outcome: Outcome) -> None:
        attempt = self.running.pop(lane)
        fate = self.fates[NAMES[lane], attempt.task.sequence]
        fate.delivered = fate.delivered or outcome is DELIVERED
        self.carry_out(self.bench.ends(attempt, outcome))

    def ack_one(self, stream: Stream) -> None:
        if not self.pending[stream]:
            return
        write, backlog = self.pending[stream].pop(0), self.bench.backlog
        place = self.append(write)
        match write:
            case WriteTombstone(of):
                self.fates[NAMES[of.lane], of.sequence].gone = True
                self.carry_out(backlog.tombstone_acked(of))
            case WriteLetter(of, _):
                self.carry_out(backlog.letter_acked(of, self.bench.now_ms))
            case WriteTicket(of, _, standing):
                assert place is not None
                if self.bench.spool.get(of.lane, of.sequence) is not None:
                    self.now_known(NAMES[of.lane], of.sequence, standing, place)
                self.carry_out(backlog.ticket_acked(of, standing, place))
            case WriteRelease(owed):
                backlog.release_acked(owed)

    def arrives(self, stream: Stream, count: int) -> None:
        """So many of these are in Kafka, and the others never will be; nobody is told."""
        writes = self.pending.pop(stream)
        for write in writes[:count]:
            self.append(write)

    def append(self, write: Running) -> TicketPlace | None:
        """It is in Kafka; where, if it is a ticket."""
        match write:
            case WriteTombstone(of):
                self.append_tombstone(NAMES[of.lane], of.sequence)
            case WriteLetter(of, _):
                self.fates[NAMES[of.lane], of.sequence].lettered = True
            case WriteRelease(owed):
                self.released[NAMES[owed.lane]] = owed.sequence
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
                return self.append_ticket(ticket, of.partition, tier.text)
        return None

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

    def now_known(self, name: str, sequence: int, standing: Standing, place: TicketPlace) -> None:
        fate = self.fates[name, sequence]
        if standing.is_above(fate.known):
            fate.known, fate.ticket = standing, place

    def read_one(self, partition: int) -> None:
        if self.read_to[partition] >= len(self.backlog[partition]):
            return
        lane, sequence, value = self.backlog[partition][self.read_to[partition]]
        self.read_to[partition] += 1
        if value is None:
            self.fates[NAMES[lane], sequence].gone = True
        key = task_key(lane, sequence)
        self.carry_out(self.bench.intake.backlog_record(partition, key, value))

    def ticket_read(self, ticket: RetryTicket, partition: int, place: TicketPlace) -> None:
        standing = Standing(ticket.attempts, ticket.nudge, ticket.due_ms, ticket.halted)
        self.now_known(NAMES[ticket.lane], ticket.sequence, standing, place)
        self.bench.intake.ticket_record(partition, place, TICKETS.encode(ticket))

    def skip(self, name: str, sequence: int) -> None:
        self.fates[name, sequence].lettered = True
        self.append_tombstone(name, sequence)

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
        for lane, work in self.bench.backlog._at_work._work.items():
            if work.current is not None:
                busy[work.subscription].add(lane)
        return busy

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
        self.carry_out(self.bench.start())
