"""How far a task is: attempts made, when it is due, whether it is halted. Pure.

A task brings values of its own; tickets bring newer ones. Of all of them the highest
(attempts, nudge) holds, whatever the order in which they are read: an operator's `retry` raises
the nudge, an attempt raises the attempts. The others are used up.

    task (1, 0) due 12:00     ticket (2, 0) due 12:30     holds: due 12:30
    ticket (2, 1) due now     (an operator)               holds: due now
    ticket (2, 0) once more   (read again)                used up
"""

from dataclasses import dataclass
from typing import NamedTuple

from hooklane.schemas.records import DeliveryTask, RetryTicket

AT_ONCE = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """`due_ms`: milliseconds since the epoch; `AT_ONCE` for a task that was never attempted."""

    attempts: int
    nudge: int
    due_ms: int
    halted: bool

    def is_above(self, other: "Standing") -> bool:
        """Whether this one holds and the other is used up."""
        return (self.attempts, self.nudge) > (other.attempts, other.nudge)

    def is_due(self, now_ms: int) -> bool:
        return not self.halted and self.due_ms <= now_ms


class TicketPlace(NamedTuple):
    """Where a ticket stands in Kafka: its tier's text, and its offset in the lane's partition."""

    tier: str
    offset: int


def of_task(task: DeliveryTask) -> Standing:
    """What the fan-out wrote into the task."""
    due_ms = AT_ONCE if task.due_ms is None else task.due_ms
    return Standing(task.attempts, 0, due_ms, task.halted)


def of_ticket(ticket: RetryTicket) -> Standing:
    return Standing(ticket.attempts, ticket.nudge, ticket.due_ms, ticket.halted)
