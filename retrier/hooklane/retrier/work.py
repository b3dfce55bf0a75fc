"""Carries out what the decisions ask for, and brings them the answers. In the event loop."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from hooklane.delivery import attempt
from hooklane.delivery.attempt import Attempted
from hooklane.delivery.circuit import Circuits, Permit
from hooklane.delivery.exchange import Running
from hooklane.delivery.journal import Journal
from hooklane.retrier.backlog import Backlog
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
from hooklane.retrier.spool import Spool, Waiting
from hooklane.retrier.standing import TicketPlace
from hooklane.retrier.surroundings import Surroundings
from hooklane.retrier.write import Acked
from hooklane.retrier.written import Layout, Write, record_of
from hooklane.runtime.landings import Landings
from hooklane.schemas.lane import LaneId
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import AttemptOutcome

_LEAST_PAUSE_S = 0.01
"""Many rate limits wake it together; a pace makes up for as much."""


class Attempts(Protocol):
    """What makes an HTTP attempt of a delivery."""

    def start(self, delivery: attempt.Delivery, done: Callable[[Attempted], None]) -> Running: ...


class Writing(Protocol):
    """What writes records; their acknowledgement comes to `Workshop.acked`."""

    def write(self, write: Write, record: Record) -> None: ...
    def drop(self, partition: int) -> None: ...

    @property
    def is_behind(self) -> bool:
        """Whether too much waits for its acknowledgement to begin anything more."""


class Workshop:
    """Between the decisions and the outside."""

    def __init__(
        self,
        backlog: Backlog,
        spool: Spool,
        attempts: Attempts,
        writer: Writing,
        layout: Layout,
        circuits: Circuits,
        around: Surroundings,
    ) -> None:
        self._backlog = backlog
        self._spool = spool
        self._attempts = attempts
        self._writer = writer
        self._layout = layout
        self._circuits = circuits
        self._fence = around.fence
        self._clock = around.clock
        self._metrics = around.metrics
        self._journal = Journal(around.clock.monotonic)
        self._running: dict[LaneId, tuple[Waiting, Running]] = {}
        self._landings = Landings[LaneId]()
        self._waking: asyncio.TimerHandle | None = None

    def carry_out(self, commands: Iterable[Command]) -> None:
        """Do all of these."""
        at_ms = self._clock.wall_ms()
        for command in commands:
            match command:
                case Attempt():
                    self._start(command)
                case (  # what a drain writes comes first
                    WriteAttempt()
                    | WriteTombstone()
                    | WriteLetter()
                    | WriteRelease()
                    | WriteStatus()
                    | WriteTicket()
                ):
                    self._writer.write(command, record_of(command, self._layout, at_ms))

    def step(self) -> None:
        """Begin what may begin now. Nothing starts while the fence is closed or writing stands."""
        if self._may_write(self._clock.monotonic()):
            self.carry_out(self._backlog.startable(self._clock.wall_ms()))
            self._wake_in(self._backlog.pause_s())

    def look_at_halted(self) -> None:
        """Discard what is halted, and whose subscription is deleted."""
        if self._may_write(self._clock.monotonic()):
            self.carry_out(self._backlog.look_at_halted(self._clock.wall_ms()))

    def _may_write(self, now: float) -> bool:
        return self._fence.is_open(now) and not self._writer.is_behind

    def _wake_in(self, pause_s: float | None) -> None:
        """Step again when a rate limit lets the next one start."""
        if pause_s is not None and self._waking is None:
            delay_s = max(pause_s, _LEAST_PAUSE_S)
            self._waking = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self.step()

    async def drain(self, partition: int, grace_s: float) -> None:
        """Begin nothing more there, wait for the attempts in flight, cut off the rest."""
        self._backlog.hold(partition)
        in_flight = [
            lane for lane, (waiting, _) in self._running.items() if waiting.partition == partition
        ]
        await self._landings.wait(in_flight, grace_s)
        self.cut_off(partition)

    def cut_off(self, partition: int) -> None:
        """Cancel the attempts of this partition: they are done again by its next owner."""
        for lane, (waiting, running) in list(self._running.items()):
            if waiting.partition == partition:
                running.cancel()
                del self._running[lane]
                self._landings.landed(lane)

    def let_go(self, partition: int) -> None:
        """It is somebody else's: what is not written by now is not written any more."""
        self._writer.drop(partition)

    def _start(self, command: Attempt) -> None:
        task, entry, now = command.task, command.entry, self._clock.monotonic()
        if (
            not self._may_write(now)
            or self._circuits.permit(entry.subscription.url, now) is Permit.REFUSED
        ):
            # Decided a moment ago: the fence has closed since, another took the probe, or what is
            # done cannot be written.
            self.carry_out(self._backlog.not_begun(command))
            return
        wanted = attempt.Delivery(
            lane=task.lane,
            sequence=task.sequence,
            webhook_id=task.webhook_id,
            run=task.run,
            event=task.event,
            subscription=entry.subscription,
            attempt=command.number,
        )
        running = self._attempts.start(wanted, lambda ended: self._ended(command, ended))
        self._running[task.lane] = (command.waiting, running)
        self._metrics.attempts_in_flight.set(len(self._running))

    def _ended(self, command: Attempt, ended: Attempted) -> None:
        lane, now_ms = command.task.lane, self._clock.wall_ms()
        del self._running[lane]
        self._landings.landed(lane)
        self._circuits.record(
            command.entry.subscription.url, lane, ended.outcome, self._clock.monotonic()
        )
        record = ended.record
        self._metrics.attempted(record.subscription, record.outcome, record.duration_ms / 1000)
        if record.outcome is AttemptOutcome.DELIVERED and not command.task.run:
            age_ms = now_ms - command.task.event.timestamp_ms
            self._metrics.delivery_latency.observe(max(age_ms, 0) / 1000)
        with self._spool.batch():
            following = self._backlog.attempted(command, ended.outcome, ended.record, now_ms)
        self.carry_out(following)
        last = following[-1]
        if isinstance(last, WriteTicket) and last.standing.halted:
            self._journal.halted(record)
        # A lane that went on has kept its slot: there is nothing to hand out.
        if not isinstance(last, Attempt):
            self.step()
        self._metrics.attempts_in_flight.set(len(self._running))

    def acked(self, acked: Sequence[Acked]) -> None:
        """What was written is in Kafka: go on from there."""
        now_ms = self._clock.wall_ms()
        commands: list[Command] = []
        with self._spool.batch():
            for write, offset in acked:
                commands += self._answer(write, offset, now_ms)
        self._metrics.progressed(now_ms)
        self.carry_out(commands)
        self.step()

    def _answer(self, write: Write, offset: int, now_ms: int) -> list[Command]:
        match write:
            case WriteAttempt():
                return []
            case WriteTombstone():
                return self._backlog.tombstone_acked(write.waiting)
            case WriteTicket():
                place = TicketPlace(write.tier.text, offset)
                return self._backlog.ticket_acked(write.waiting, write.standing, place)
            case WriteLetter():
                self._metrics.dead_letters.inc()
                self._metrics.by_subscription.given_up(write.letter.subscription)
                self._journal.given_up(write.letter)
                return self._backlog.letter_acked(write.waiting, now_ms)
            case WriteRelease():
                owed = write.owed
                self._backlog.release_acked(owed)
                self._journal.released(owed.subscription, owed.lane, owed.sequence)
                return []
            case WriteStatus():
                self._journal.disabled(write.subscription, write.offset, write.reason)
                return []
