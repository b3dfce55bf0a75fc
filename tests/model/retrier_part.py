"""A retrier that owns the backlog partition: its decision classes, and the loop around them.

Its checkpoint is saved after each record. (Later ones are `tests/unit/test_retrier_machine.py`'s.)

The methods play the parts of `service`, `work` and `write`, one atomic step each. What has been
given to the producer stands in `_outbox`, in its order, until the broker has it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, assert_never

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.blocked_lanes import _apply
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
from hooklane.retrier.gate import TaskGate
from hooklane.retrier.orphans import Orphans
from hooklane.retrier.restore import owed_of
from hooklane.retrier.spool import Waiting
from hooklane.retrier.standing import TicketPlace
from hooklane.retrier.written import Write
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord
from tests.model.fanout_part import Starts, attempt_record, never
from tests.model.scene import LATER_MS, NOW_MS, Log, Scene
from tests.model.world import GAP
from tests.support.memory_spool import MemorySpool
from tests.support.receivers import OpenTo

_PARTITION = 0


class RetrierView(NamedTuple):
    """What the explorer needs to know to see which steps are possible."""

    is_open: bool
    running: tuple[int, ...]
    outbox: tuple[tuple[Log, int], ...]
    """The records that the broker has not got yet, in their order."""
    first_open_tickets: tuple[int | None, ...]
    """Of each tier."""
    halted: tuple[tuple[Log, int], ...]
    """For each halted task the ticket by which an operator lets it be tried again."""
    reads_on: bool
    """Whether there is more of the subscriptions to read."""
    has_orphans: bool


class Retrier:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._spool = MemorySpool()
        self._unsaved: tuple[int, ...] = ()
        """What the last restore read, while no checkpoint may pass it (ownership)."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        scene = self._scene
        book = scene.unread_book if scene.bounds.unread else scene.book
        self._follower = scene.parts.follower(book)
        gate = TaskGate(self._follower, OpenTo(never), 8)
        self._backlog = scene.parts.backlog(self._spool, gate, scene.resolver, 8)
        self._orphans = Orphans()
        self._orphans.restoring(_PARTITION)
        self._intake = scene.parts.intake(self._spool, self._backlog, self._orphans)
        self._running: list[Attempt] = []
        self._outbox: list[Write] = []
        self._is_open = False

    def view(self) -> RetrierView:
        tiers = [delay.text for delay in self._scene.delays]
        return RetrierView(
            self._is_open,
            tuple(self._number(one.task.lane, one.task.sequence) for one in self._running),
            tuple(map(self._record, self._outbox)),
            tuple(self._spool.first_open_ticket(_PARTITION, tier) for tier in tiers),
            tuple(filter(None, map(self._nudge, self._firsts()))),
            self._follower.book is not self._scene.book,
            bool(self._orphans._lanes.get(_PARTITION)),
        )

    def crash(self) -> Starts:
        """Memory is lost, the spool is kept."""
        self._begin_anew()
        return ()

    def read_blocked(self, records: tuple[int, ...]) -> Starts:
        """Without a spool: what every blocked lane is owed (blocked_lanes, ownership)."""
        for lane, record in self._blocked(records).items():
            self._spool.owe(owed_of(lane, record, _PARTITION))
        return ()

    def forget_orphans(self) -> Starts:
        """The same where none of them is blocked."""
        self._unsaved = ()
        self._orphans.take(_PARTITION)
        return ()

    def _blocked(self, records: tuple[int, ...]) -> dict[LaneId, LaneRecord]:
        blocked: dict[LaneId, LaneRecord] = {}
        for number in records:
            _apply(blocked, *self._scene.catalogue.record(number))
        return blocked

    def restore(
        self,
        backlog: tuple[int, ...],
        tickets: tuple[tuple[int, ...], ...],
        first_tickets: tuple[int, ...],
    ) -> Starts:
        """Read all to their ends, then open (rule 7)."""
        for number in (*self._unsaved, *backlog):
            self._read(number)
        for tier, (numbers, first) in enumerate(zip(tickets, first_tickets, strict=True)):
            for offset, number in enumerate(numbers, first):
                if number != GAP:
                    self._read_ticket(tier, offset, number)
        self._is_open = True
        left = self._orphans.restored(_PARTITION, self._spool)
        self._unsaved = (*self._unsaved, *backlog) if left else ()
        return self._carry_out(self._backlog.open(_PARTITION))

    def look_after(self, records: tuple[int, ...]) -> Starts:
        """Releases of lanes that were resolved without us (orphans, ownership)."""
        self._unsaved = ()
        blocked = self._blocked(records)
        lanes = sorted(self._orphans.take(_PARTITION) & blocked.keys())
        owed = [owed_of(lane, blocked[lane], _PARTITION) for lane in lanes]
        return self._carry_out([command for one in owed for command in self._backlog.owe(one)])

    def read_all(self, backlog: tuple[int, ...]) -> Starts:
        """Read into the spool, and die before anything is done about it."""
        for number in backlog:
            self._read(number)
        return self.crash()

    def read(self, number: int) -> Starts:
        """One more record of the backlog."""
        return self._read(number)

    def read_ticket(self, tier: int, offset: int, number: int) -> Starts:
        """One more record of a tier."""
        self._read_ticket(tier, offset, number)
        return ()

    def read_subscriptions(self) -> Starts:
        """The book is read to its end (known)."""
        self._follower.book = self._scene.book
        return ()

    def start(self) -> Starts:
        """Begin what is due, and everything may be."""
        self._backlog.look(LATER_MS)
        return self._carry_out(self._backlog.startable(LATER_MS))

    def ended(self, number: int, outcome: Outcome, now_ms: int) -> Starts:
        """The attempt of this delivery ended; the next one may be due at `now_ms` or not."""
        attempt = next(
            one for one in self._running if self._number(one.task.lane, one.task.sequence) == number
        )
        self._running.remove(attempt)
        record = attempt_record(attempt.task, attempt.number, outcome)
        return self._carry_out(self._backlog.attempted(attempt, outcome, record, now_ms))

    def acked(self, offsets: tuple[int, ...]) -> Starts:
        """The broker has the first records of the outbox, at these offsets."""
        acked, self._outbox = self._outbox[: len(offsets)], self._outbox[len(offsets) :]
        commands = [
            command
            for write, offset in zip(acked, offsets, strict=True)
            for command in self._answer(write, offset)
        ]
        return self._carry_out(commands)

    def acked_alone(self, at: int, offset: int) -> Starts:
        """The broker has the record at this place of the outbox."""
        return self._carry_out(self._answer(self._outbox.pop(at), offset))

    def _answer(self, write: Write, offset: int) -> list[Command]:
        match write:
            case WriteTicket():
                place = TicketPlace(write.tier.text, offset)
                return self._backlog.ticket_acked(write.waiting, write.standing, place)
            case WriteLetter():
                return self._backlog.letter_acked(write.waiting, NOW_MS)
            case WriteTombstone():
                commands = self._backlog.tombstone_acked(write.waiting)
                self._backlog.settle()
                return commands
            case WriteRelease():
                self._backlog.release_acked(write.owed)
                return []
            case WriteAttempt() | WriteStatus():
                return []
            case never:
                assert_never(never)

    def _read(self, number: int) -> Starts:
        key, value = self._scene.catalogue.record(number)
        commands = self._intake.backlog_record(_PARTITION, key, value)
        self._backlog.settle()
        return self._carry_out(commands)

    def _read_ticket(self, tier: int, offset: int, number: int) -> None:
        place = TicketPlace(self._scene.delays[tier].text, offset)
        _, value = self._scene.catalogue.record(number)
        self._intake.ticket_record(_PARTITION, place, value)

    def _firsts(self) -> Iterable[Waiting]:
        lanes = dict.fromkeys(one.lane for one in self._scene.catalogue.deliveries)
        return filter(None, map(self._spool.first, lanes))

    def _nudge(self, first: Waiting) -> tuple[Log, int] | None:
        standing = replace(first.standing, nudge=first.standing.nudge + 1, due_ms=0, halted=False)
        ticket = WriteTicket(first, self._scene.delays[0], standing)
        return self._record(ticket) if first.standing.halted else None

    def _carry_out(self, commands: Iterable[Command]) -> Starts:
        starts = []
        for command in commands:
            match command:
                case Attempt():
                    self._running.append(command)
                    delivery = self._number(command.task.lane, command.task.sequence)
                    starts.append((delivery, command.number))
                case WriteAttempt() | WriteStatus():
                    pass
                case _:
                    self._outbox.append(command)
        return tuple(starts)

    def _record(self, write: Write) -> tuple[Log, int]:
        catalogue = self._scene.catalogue
        record = self._scene.parts.record_of(write, self._scene.retrier_layout, NOW_MS)
        number = catalogue.number(record.topic, record.key, record.value)
        return catalogue.about(number).log, number

    def _number(self, lane: str, sequence: int) -> int:
        return self._scene.catalogue.delivery(lane, sequence)
