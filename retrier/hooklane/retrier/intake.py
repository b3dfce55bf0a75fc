"""From consumed records to the spool: tasks, tombstones, tickets. Pure but for the spool."""

from typing import Protocol

import structlog

from hooklane.retrier.commands import Command
from hooklane.retrier.orphans import Orphans
from hooklane.retrier.spool import Spool, StrayTicket, Waiting
from hooklane.retrier.standing import AT_ONCE, Standing, TicketPlace, of_task, of_ticket
from hooklane.schemas.codec import TASKS, TICKETS, BrokenRecordError, CodecError
from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import split_task_key

log = structlog.get_logger(__name__)

_LEFT_TO_WAIT = Standing(0, 0, AT_ONCE, halted=True)


class Told(Protocol):
    """The decisions, as far as they are told of what was read."""

    def comes(self, lane: LaneId) -> None: ...
    def task_came(self, lane: LaneId, subscription: str) -> None: ...
    def tombstone_came(self, lane: LaneId, sequence: int) -> list[Command]: ...


class Intake:
    """One record after the other, of each partition in its order."""

    def __init__(self, spool: Spool, backlog: Told, orphans: Orphans | None = None) -> None:
        self._spool = spool
        self._backlog = backlog
        self._orphans = orphans or Orphans()

    def backlog_record(
        self, partition: int, key: bytes | None, value: bytes | None
    ) -> list[Command]:
        """A task, or a tombstone. A task that is there already is the same task (rule 11)."""
        named = None if key is None else split_task_key(key)
        if named is None:
            log.error("backlog.unknown_key", partition=partition, key=repr(key))
            return []
        lane, sequence = named
        if value is None:
            if self._orphans.are_noted(partition) and self._spool.get(lane, sequence) is None:
                self._orphans.tombstone(partition, lane, sequence)
            return self._backlog.tombstone_came(lane, sequence)
        self._backlog.comes(lane)
        waiting = _waiting(partition, lane, sequence, value)
        if self._spool.add(waiting):
            self._orphans.task(partition, lane)
            for stray in self._spool.take_strays(lane, sequence):
                self._apply(lane, sequence, stray.standing, stray.place)
            self._backlog.task_came(lane, waiting.subscription)
        return []

    def ticket_record(self, partition: int, place: TicketPlace, value: bytes | None) -> None:
        """A ticket. Without its task it is kept until the backlog has been read far enough."""
        try:
            ticket = TICKETS.decode(value or b"")
        except BrokenRecordError as error:
            log.error("ticket.unreadable", tier=place.tier, offset=place.offset, reason=str(error))
            return
        except CodecError as error:
            # A newer version's: its task stays due by what this version knows of it.
            log.error("ticket.unknown_schema", tier=place.tier, reason=str(error))
            return
        self._backlog.comes(ticket.lane)
        standing = of_ticket(ticket)
        if not self._apply(ticket.lane, ticket.sequence, standing, place):
            self._spool.add_stray(
                StrayTicket(partition, ticket.lane, ticket.sequence, standing, place)
            )

    def _apply(self, lane: LaneId, sequence: int, standing: Standing, place: TicketPlace) -> bool:
        """Whether there is such a task; the higher standing holds (rule 8)."""
        known = self._spool.get(lane, sequence)
        if known is None:
            return False
        if standing.is_above(known.standing):
            self._spool.stand(lane, sequence, standing, place)
            self._backlog.task_came(lane, known.subscription)
        return True


def _waiting(partition: int, lane: LaneId, sequence: int, value: bytes) -> Waiting:
    """What this version cannot read is left to wait, for one that can (rule 12)."""
    try:
        task = TASKS.decode(value)
    except CodecError as error:
        log.error("task.unreadable", lane=lane, sequence=sequence, reason=str(error))
        return Waiting(partition, lane, sequence, "", 0, _LEFT_TO_WAIT, value)
    # What a run brings back was asked for when it was written, however old its event is.
    since_ms = task.redirected_ms if task.run else task.event.timestamp_ms
    return Waiting(partition, lane, sequence, task.subscription, since_ms, of_task(task), value)
