"""The lanes of the owned backlog partitions: what may be tried, and what follows. Pure.

A lane is at work from its attempt until everything about it is acknowledged:

    idle --due--> attempt --delivered--> tombstone written --> the lane's next task at once
                     |--failed---------> ticket acked -------> idle until it is due
                     |--given up-------> dead letter acked --> tombstone written --> next task
    last tombstone acked and no task left --> release written (rule 9)

Tombstones are not waited for: those of a lane are written in the order of its sequences to one
partition, so what a crash loses of them is the end, and repeats step up by one. The release is:
it must not be seen before the last tombstone is (rule 9).
"""

from dataclasses import replace
from typing import assert_never

import structlog

from hooklane.delivery.outcome import Outcome
from hooklane.retrier.at_work import LanesAtWork, Work
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
from hooklane.retrier.gate import Stance, TaskGate, Verdict
from hooklane.retrier.halted import HaltedLanes
from hooklane.retrier.queue import LaneQueue, Tenants
from hooklane.retrier.resolve import Again, GivenUp, Resolved, Resolver, letter_for
from hooklane.retrier.spool import OwedRelease, Spool, Waiting
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.codec import TASKS, CodecError
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetterReason, DeliveryAttempt, DeliveryTask

log = structlog.get_logger(__name__)

_STRIDE = 100
"""Tasks of one lane that are discarded in one go."""


class Backlog:
    """Lives in the event loop; every method returns what has to be done now."""

    def __init__(
        self,
        spool: Spool,
        gate: TaskGate,
        resolver: Resolver,
        max_in_flight: int,
        tenants: Tenants | None = None,
    ) -> None:
        self._spool = spool
        self._gate = gate
        self._resolver = resolver
        self._open: set[int] = set()
        self._queue = LaneQueue(spool, gate, max_in_flight, self._open, tenants)
        self._at_work = LanesAtWork(spool, self._queue)
        self._halted = HaltedLanes(spool, self._open)
        self._unreadable: set[tuple[LaneId, int]] = set()

    @property
    def in_flight(self) -> int:
        """Lanes that take a slot."""
        return self._queue.in_flight

    def open(self, partition: int) -> list[Command]:
        """The partition is restored: its lanes may be tried, and its owed releases written."""
        self._open.add(partition)
        return [
            WriteRelease(owed)
            for owed in self._spool.owed(partition)
            if self._spool.highest(owed.lane) is None
        ]

    def hold(self, partition: int) -> list[Waiting]:
        """Begin nothing more there; returns what is being attempted or written."""
        self._open.discard(partition)
        return [work.current for work in self._at_work.of(partition) if work.current is not None]

    def forget(self, partition: int) -> None:
        """The partition is somebody else's: what comes of its work is of no interest here."""
        self._open.discard(partition)
        self._at_work.forget(partition)

    def comes(self, lane: LaneId) -> None:
        """A task or ticket of the lane is about to be read into the spool."""
        self._at_work.settle(lane)

    def settle(self) -> None:
        """What is resolved leaves the spool: to be called before a checkpoint is saved."""
        self._at_work.settle_all()

    def task_came(self, lane: LaneId, subscription: str) -> None:
        """A task or ticket was read into the spool."""
        if not self._at_work.changed(lane):
            self._queue.mark(subscription)

    def tombstone_came(self, lane: LaneId, sequence: int) -> list[Command]:
        """A tombstone was read: an operator's, an earlier owner's, or our own once more.

        It leaves the spool before the checkpoint passes the tombstone, also while it is attempted:
        nobody would tell of it again. So what it makes due is owed at once.
        """
        work = self._at_work.get(lane)
        if work is not None:
            if work.read(sequence):
                return []
            if work.current is not None and work.current.sequence == sequence:
                work.tombstoned = True
        is_covered = self._at_work.covers(lane, sequence)
        last = None if is_covered else self._spool.get(lane, sequence)
        self._at_work.resolve(lane, sequence)
        return [] if last is None else self._owe(last)

    def not_begun(self, attempt: Attempt) -> list[Command]:
        """The attempt could not be started now: its lane waits again."""
        work = self._at_work.attempting(attempt.waiting)
        if work is None:
            return []
        self._rest(work, attempt.waiting)
        self._queue.mark(attempt.waiting.subscription)
        return self._owe(attempt.waiting) if work.tombstoned else []

    def look(self, now_ms: int) -> None:
        """Look for what has become due; to be called now and then."""
        self._queue.look(now_ms)

    def look_at_halted(self, now_ms: int) -> list[Command]:
        """Discard those among some halted lanes whose subscription is deleted, though another one
        has its id; to be called now and then."""
        commands: list[Command] = []
        for lane in self._halted.some():
            waiting = None if lane in self._at_work else self._spool.first(lane)
            if waiting is not None and self._is_of_the_deleted(waiting):
                commands += self._walk(waiting, now_ms)
        return commands

    def pause_s(self) -> float | None:
        """Seconds until a rate limit lets something start that waits for it, if something does."""
        return self._queue.pause_s()

    def startable(self, now_ms: int) -> list[Command]:
        """What may begin at `now_ms`: subscriptions take turns."""
        self._queue.resume()
        commands: list[Command] = []
        for subscription in self._queue.marked():
            if self._gate.stance(subscription) is not Stance.HELD:
                commands += self._of_subscription(subscription, now_ms)
        return commands

    def attempted(
        self, attempt: Attempt, outcome: Outcome, record: DeliveryAttempt, now_ms: int
    ) -> list[Command]:
        """The attempt ended. Its record comes back completed, to be written."""
        work = self._at_work.attempting(attempt.waiting)
        if work is None:
            return [WriteAttempt(record)]
        if work.tombstoned:
            return [WriteAttempt(record), *self._resolved_elsewhere(work, attempt.waiting, now_ms)]
        verdict = self._resolver.judge(attempt.waiting, attempt.entry, outcome, now_ms)
        match verdict:
            case Resolved():
                return [WriteAttempt(record), *self._resolved(attempt.waiting, now_ms)]
            case GivenUp():
                return self._given_up(attempt, verdict, outcome, record, now_ms)
            case Again():
                record = _with_next(record, verdict.standing)
                ticket = WriteTicket(attempt.waiting, verdict.tier, verdict.standing)
                return [WriteAttempt(record), ticket]
            case _:
                assert_never(verdict)

    def ticket_acked(
        self, waiting: Waiting, standing: Standing, place: TicketPlace
    ) -> list[Command]:
        """The ticket is in its tier: the lane rests until it is due."""
        known = self._spool.get(waiting.lane, waiting.sequence)
        if known is not None and standing.is_above(known.standing):
            self._spool.stand(waiting.lane, waiting.sequence, standing, place)
            self._at_work.changed(waiting.lane)
        work = self._at_work.attempting(waiting)
        if work is None:
            return []
        self._rest(work, waiting)
        if not work.tombstoned:
            return []
        self._spool.remove(waiting.lane, [waiting.sequence])
        return self._owe(waiting)

    def letter_acked(self, waiting: Waiting, now_ms: int) -> list[Command]:
        """The dead letter is written: the task may go."""
        if self._at_work.attempting(waiting) is None:
            return []
        return self._resolved(waiting, now_ms)

    def tombstone_acked(self, waiting: Waiting) -> list[Command]:
        """The task is gone for good."""
        work = self._at_work.get(waiting.lane)
        if work is None or not work.acked(waiting.sequence):
            self._at_work.resolve(waiting.lane, waiting.sequence)
        rests = self._at_work.rest(waiting.lane)
        if not self._at_work.covers(waiting.lane, waiting.sequence):
            return self._owe(waiting)
        if rests:
            self._queue.mark(waiting.subscription)
        return []

    def owe(self, release: OwedRelease) -> list[Command]:
        """Everything of the lane up to there is resolved: the release goes out once it is empty."""
        owed = self._spool.owe(release)
        empty = owed.lane not in self._at_work and self._spool.highest(owed.lane) is None
        return [WriteRelease(owed)] if empty and owed.partition in self._open else []

    def release_acked(self, owed: OwedRelease) -> None:
        """The fan-out can know."""
        self._spool.paid(owed.lane, owed.sequence)

    def _of_subscription(self, subscription: str, now_ms: int) -> list[Command]:
        commands: list[Command] = []
        lanes = self._queue.due_lanes(
            subscription, now_ms, self._at_work.__contains__, self._at_work.__len__
        )
        for lane in lanes:
            waiting = None if lane in self._at_work else self._spool.first(lane)
            if waiting is not None and self._may_begin(waiting, now_ms):
                commands += self._walk(waiting, now_ms)
        return commands

    def _may_begin(self, waiting: Waiting, now_ms: int) -> bool:
        """Whether the first task of a lane may go now."""
        if waiting.partition not in self._open or self._is_unreadable(waiting):
            return False
        match self._gate.stance(waiting.subscription):
            case Stance.NORMAL:
                return waiting.standing.is_due(now_ms)
            case Stance.EMPTYING:
                return True
            case Stance.HELD:
                return False
            case never:
                assert_never(never)

    def _walk(self, waiting: Waiting, now_ms: int) -> list[Command]:
        """Begin a due task; where that discards it, go on to the next ones of its lane."""
        commands: list[Command] = []
        following: Waiting | None = waiting
        for _ in range(_STRIDE):
            if following is None:
                break
            begun = self._begin(following, now_ms)
            commands += begun
            if not begun or self._at_work.takes_slot(following.lane):
                break
            following = self._next_due(following, now_ms)
        return commands

    def _begin(self, waiting: Waiting, now_ms: int) -> list[Command]:
        """The first task of a lane is due: attempt it, or what its subscription asks for."""
        task = self._decoded(waiting)
        if task is None:
            return []
        verdict, entry = self._gate.judge(task)
        match verdict:
            case Verdict.WAIT:
                return []
            case Verdict.DISCARD:
                self._at_work.tombstone(waiting)
                return [WriteTombstone(waiting)]
            case Verdict.GIVE_UP:
                self._at_work.take(waiting)
                attempts = waiting.standing.attempts
                letter = letter_for(task, DeadLetterReason.DISABLED, None, attempts, now_ms)
                return [WriteLetter(waiting, letter)]
            case Verdict.ATTEMPT:
                assert entry is not None  # noqa: S101 - the gate's word for it
                self._at_work.take(waiting)
                self._gate.starts(entry)
                return [Attempt(waiting, task, entry, waiting.standing.attempts + 1)]
            case _:
                assert_never(verdict)

    def _resolved(self, waiting: Waiting, now_ms: int) -> list[Command]:
        """Tombstone it, and go on with the next task of its lane at once."""
        self._at_work.tombstone(waiting)
        return [WriteTombstone(waiting), *self._go_on(waiting, now_ms)]

    def _resolved_elsewhere(self, work: Work, waiting: Waiting, now_ms: int) -> list[Command]:
        """Its tombstone is in the backlog already."""
        self._spool.remove(waiting.lane, [waiting.sequence])
        self._at_work.free(work)
        following = self._go_on(waiting, now_ms)
        self._at_work.rest(waiting.lane)
        return [*following, *self._owe(waiting)]

    def _given_up(
        self,
        attempt: Attempt,
        verdict: GivenUp,
        outcome: Outcome,
        record: DeliveryAttempt,
        now_ms: int,
    ) -> list[Command]:
        commands: list[Command] = [WriteAttempt(record)]
        if verdict.gone:
            entry = attempt.entry
            self._gate.gone[entry.id] = entry.offset
            self._queue.mark(entry.id)
            commands.append(WriteStatus(entry.id, entry.offset, outcome.detail, now_ms))
        letter = letter_for(attempt.task, verdict.reason, record, attempt.number, now_ms)
        return [*commands, WriteLetter(attempt.waiting, letter)]

    def _go_on(self, waiting: Waiting, now_ms: int) -> list[Command]:
        following = self._next_due(waiting, now_ms)
        return [] if following is None else self._walk(following, now_ms)

    def _next_due(self, waiting: Waiting, now_ms: int) -> Waiting | None:
        """The next task of the lane, if it may go at once and its subscription has a slot."""
        following = self._at_work.following(waiting)
        if following is None or not self._queue.has_slot(following.subscription):
            return None
        return following if self._may_begin(following, now_ms) else None

    def _owe(self, waiting: Waiting) -> list[Command]:
        """It is resolved for good. If nothing is left of its lane, the release goes out (rule 9);
        else it is remembered, since what is left may be lower than what was resolved. Before the
        partition is restored the lane may have tasks that were not read yet. Nobody waits for a
        release of a one-shot lane, nor of a run's, which no fan-out delivers in (rule 12)."""
        task = self._decoded(waiting)
        if task is None or task.one_shot or task.run:
            return []
        event = task.event
        return self.owe(
            OwedRelease(
                partition=waiting.partition,
                lane=waiting.lane,
                sequence=waiting.sequence,
                group=task.group,
                topic=event.topic,
                topic_id=event.topic_id,
                event_partition=event.partition,
                subscription=task.subscription,
                uid=task.uid,
                key=event.key,
            )
        )

    def _is_of_the_deleted(self, waiting: Waiting) -> bool:
        task = self._decoded(waiting)
        return task is not None and self._gate.judge(task)[0] is Verdict.DISCARD

    def _decoded(self, waiting: Waiting) -> DeliveryTask | None:
        """What this version cannot read is left to wait, for one that can (rule 12)."""
        try:
            return TASKS.decode(waiting.record)
        except CodecError as error:
            if (waiting.lane, waiting.sequence) not in self._unreadable:
                self._unreadable.add((waiting.lane, waiting.sequence))
                log.error("task.unreadable", lane=waiting.lane, reason=str(error))
            return None

    def _is_unreadable(self, waiting: Waiting) -> bool:
        return (waiting.lane, waiting.sequence) in self._unreadable

    def _rest(self, work: Work, waiting: Waiting) -> None:
        """Nothing to do for the lane until its first task is due."""
        self._at_work.free(work)
        self._at_work.rest(waiting.lane)


def _with_next(record: DeliveryAttempt, standing: Standing) -> DeliveryAttempt:
    return record if standing.halted else replace(record, next_ms=standing.due_ms)
