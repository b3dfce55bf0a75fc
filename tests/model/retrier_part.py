"""A retrier that owns the backlog partition: its decision classes, and the loop around them.

The methods play the parts of `service` and `work`, one atomic step each. What has been given to
the producer stands in `_outbox`, by log, until the broker has it.
"""

from collections.abc import Iterable
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
from hooklane.retrier.restore import owed_of
from hooklane.retrier.standing import TicketPlace
from hooklane.retrier.written import Write, record_of
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import LaneRecord
from tests.model.fanout_part import Starts, attempt_record, never
from tests.model.scene import LATER_MS, NOW_MS, Log, Scene
from tests.support.memory_spool import MemorySpool
from tests.support.receivers import OpenTo

_LOGS: dict[type[Write], Log] = {
    WriteTombstone: Log.BACKLOG,
    WriteTicket: Log.TIER,
    WriteRelease: Log.LANES,
    WriteLetter: Log.LETTERS,
}
_PARTITION = 0


class RetrierView(NamedTuple):
    """What the explorer needs to know to see which steps are possible."""

    is_open: bool
    running: tuple[int, ...]
    outbox: tuple[tuple[int, ...], ...]
    """The records that the broker has not got yet, by log."""
    refused: tuple[int, ...]
    """How many records of each log wait to be written again."""
    first_open_ticket: int | None


class Retrier:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._spool = MemorySpool()
        self._begin_anew()

    def _begin_anew(self) -> None:
        scene = self._scene
        gate = TaskGate(scene.book, OpenTo(never), 8)
        self._backlog = scene.parts.backlog(self._spool, gate, scene.resolver, 8)
        self._intake = scene.parts.intake(self._spool, self._backlog)
        self._running: list[Attempt] = []
        self._outbox: dict[Log, list[Write]] = {log: [] for log in Log}
        self._refused: dict[Log, list[Write]] = {log: [] for log in Log}
        self._is_open = False

    def view(self) -> RetrierView:
        return RetrierView(
            self._is_open,
            tuple(self._number(one.task.lane, one.task.sequence) for one in self._running),
            tuple(tuple(map(self._record, self._outbox[log])) for log in Log),
            tuple(len(self._refused[log]) for log in Log),
            self._spool.first_open_ticket(_PARTITION, self._scene.tier.text),
        )

    def crash(self) -> Starts:
        """Memory is lost, the spool is kept."""
        self._begin_anew()
        return ()

    def read_blocked(self, records: tuple[int, ...]) -> Starts:
        """Without a spool: what every blocked lane is owed (blocked_lanes, ownership)."""
        blocked: dict[LaneId, LaneRecord] = {}
        for number in records:
            _apply(blocked, *self._scene.catalogue.record(number))
        for lane, record in blocked.items():
            self._spool.owe(owed_of(lane, record, _PARTITION))
        return ()

    def restore(
        self, backlog: tuple[int, ...], tickets: tuple[int, ...], first_ticket: int
    ) -> Starts:
        """Read both to their ends, then open (rule 7)."""
        for number in backlog:
            self._read(number)
        for offset, number in enumerate(tickets, first_ticket):
            self._read_ticket(offset, number)
        self._is_open = True
        return self._carry_out(self._backlog.open(_PARTITION))

    def read_all(self, backlog: tuple[int, ...]) -> Starts:
        """Read into the spool, and die before anything is done about it."""
        for number in backlog:
            self._read(number)
        return self.crash()

    def read(self, number: int) -> Starts:
        """One more record of the backlog."""
        return self._read(number)

    def read_ticket(self, offset: int, number: int) -> Starts:
        """One more record of the tier."""
        self._read_ticket(offset, number)
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

    def acked(self, log: Log, offset: int) -> Starts:
        """The broker has the first record of this log's outbox."""
        return self._carry_out(self._answer(self._outbox[log].pop(0), offset))

    def refused(self, log: Log) -> Starts:
        """The broker refused the first record of this log's outbox."""
        self._refused[log].append(self._outbox[log].pop(0))
        return ()

    def again(self, log: Log) -> Starts:
        """A refused record is written again, after all that was given meanwhile (write)."""
        self._outbox[log].append(self._refused[log].pop(0))
        return ()

    def _answer(self, write: Write, offset: int) -> list[Command]:
        match write:
            case WriteTicket():
                place = TicketPlace(write.tier.text, offset)
                return self._backlog.ticket_acked(write.waiting, write.standing, place)
            case WriteLetter():
                return self._backlog.letter_acked(write.waiting, NOW_MS)
            case WriteTombstone():
                return self._backlog.tombstone_acked(write.waiting)
            case WriteRelease():
                self._backlog.release_acked(write.owed)
                return []
            case WriteAttempt() | WriteStatus():
                return []
            case never:
                assert_never(never)

    def _read(self, number: int) -> Starts:
        key, value = self._scene.catalogue.record(number)
        return self._carry_out(self._intake.backlog_record(_PARTITION, key, value))

    def _read_ticket(self, offset: int, number: int) -> None:
        place = TicketPlace(self._scene.tier.text, offset)
        _, value = self._scene.catalogue.record(number)
        self._intake.ticket_record(_PARTITION, place, value)

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
                    self._outbox[_LOGS[type(command)]].append(command)
        return tuple(starts)

    def _record(self, write: Write) -> int:
        record = record_of(write, self._scene.retrier_layout, NOW_MS)
        return self._scene.catalogue.number(record.topic, record.key, record.value)

    def _number(self, lane: str, sequence: int) -> int:
        return self._scene.catalogue.delivery(lane, sequence)
