"""Tasks, tickets and releases for tests of the spool, each as little as the test needs."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from hooklane.retrier.spool import OwedRelease, Spool, StrayTicket, Waiting
from hooklane.retrier.standing import AT_ONCE, Standing, TicketPlace
from hooklane.schemas.lane import LaneId


def lane(name: str) -> LaneId:
    return LaneId(blake2b(name.encode(), digest_size=16).hexdigest())


def standing(due_ms: int = AT_ONCE, *, attempts: int = 0, halted: bool = False) -> Standing:
    return Standing(attempts, 0, due_ms, halted)


def waiting(name: str, sequence: int, due_ms: int = AT_ONCE, **more: Any) -> Waiting:
    """A task of the lane `name`; `more`: fields of Waiting, or `halted`."""
    facts: dict[str, Any] = {
        "partition": 0,
        "subscription": "billing",
        "timestamp_ms": 1_000 + sequence,
        "standing": standing(due_ms, halted=more.pop("halted", False)),
        "record": f"{name}:{sequence}".encode(),
    }
    return Waiting(lane=lane(name), sequence=sequence, **(facts | more))


def stray(name: str, sequence: int, offset: int, partition: int = 0) -> StrayTicket:
    place = TicketPlace("30s", offset)
    return StrayTicket(partition, lane(name), sequence, standing(5, attempts=1), place)


def owed(name: str, sequence: int, partition: int = 0) -> OwedRelease:
    return OwedRelease(
        partition, lane(name), sequence, "group", "orders", "id", 7, "billing", "uid", b"\x00key"
    )


def content(spool: Spool, asked: Iterable[Waiting]) -> list[Waiting]:
    """Those of the tasks that are in the spool, as they are there."""
    found = (spool.get(task.lane, task.sequence) for task in asked)
    return [task for task in found if task is not None]
