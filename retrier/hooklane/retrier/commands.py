"""What the decisions ask the loop to do. Each is answered by the method that its text names."""

from dataclasses import dataclass
from typing import TypeAlias

from hooklane.retrier.spool import OwedRelease, Waiting
from hooklane.retrier.standing import Standing
from hooklane.schemas.book import Entry
from hooklane.schemas.records import DeadLetter, DeliveryAttempt, DeliveryTask
from hooklane.schemas.topics import Delay


@dataclass(frozen=True, slots=True)
class Attempt:
    """Try it over HTTP, by the document of `entry`. Answer: `Backlog.attempted`.

    `number` is 1 for the first attempt that a delivery ever has.
    """

    waiting: Waiting
    task: DeliveryTask
    entry: Entry
    number: int


@dataclass(frozen=True, slots=True)
class WriteTicket:
    """Answer: `Backlog.ticket_acked`."""

    waiting: Waiting
    tier: Delay
    standing: Standing


@dataclass(frozen=True, slots=True)
class WriteLetter:
    """Answer: `Backlog.letter_acked`."""

    waiting: Waiting
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class WriteTombstone:
    """Answer: `Backlog.tombstone_acked`."""

    waiting: Waiting


@dataclass(frozen=True, slots=True)
class WriteRelease:
    """Answer: `Backlog.release_acked`."""

    owed: OwedRelease


@dataclass(frozen=True, slots=True)
class WriteAttempt:
    """For the attempts topic; needs no answer."""

    record: DeliveryAttempt


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """A 410 judged the document at `offset`; needs no answer, the book will tell."""

    subscription: str
    offset: int
    reason: str
    at_ms: int


Command: TypeAlias = (
    Attempt | WriteTicket | WriteLetter | WriteTombstone | WriteRelease | WriteAttempt | WriteStatus
)
