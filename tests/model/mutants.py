"""Rules taken away, one by one: what the explorer must not let pass.

Each is a small change of one of the product's classes, or of the loop that the model plays, with
the smallest bounds in which it does harm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hooklane.fanout.delivery import Delivery, Place
from hooklane.fanout.lanes import LaneTable
from hooklane.fanout.ledger import Ledger, LedgerState
from hooklane.fanout.partition import EventPartition
from hooklane.fanout.redirect import Draft, Share
from hooklane.fanout.schedule import Schedule
from hooklane.fanout.transaction import records as records_of
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.commands import Command, WriteRelease, WriteTicket
from hooklane.retrier.intake import Intake
from hooklane.retrier.spool import Waiting
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.retrier.written import Layout, Write, record_of
from hooklane.schemas.codec import TASKS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.outgoing import Record
from hooklane.schemas.topics import task_key
from tests.model.scene import Bounds, Follower, Parts, Visibility

PRODUCT = Parts()


@dataclass(frozen=True, slots=True)
class Mutant:
    """`promise` is the first word of what it must be caught for."""

    rule: str
    parts: Parts
    bounds: Bounds
    promise: str


class RedirectsBehindAnAttempt(Schedule):
    """Rule 3: what comes in behind an attempt in flight goes to the backlog at once."""

    def add(self, delivery: Delivery) -> None:
        lane = self._lanes.get(delivery.lane)
        if lane is not None and lane.in_flight is not None:
            self._steps.redirect.append(delivery)
        else:
            super().add(delivery)


class AttemptsBesideAnAttempt(Schedule):
    """Rule 1: what comes in behind an attempt in flight is attempted at once."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._beside: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        lane = self._lanes.get(delivery.lane)
        if lane is not None and lane.in_flight is not None:
            self._beside.append(delivery)
            self._steps.start.append(delivery)
        else:
            super().add(delivery)

    def resolved(self, delivery: Delivery) -> None:
        if delivery in self._beside:
            self._beside.remove(delivery)
        else:
            super().resolved(delivery)

    def failed(self, delivery: Delivery) -> None:
        if delivery in self._beside:
            self._beside.remove(delivery)
            self._steps.redirect.append(delivery)
        else:
            super().failed(delivery)


class LeavesAGap(Schedule):
    """Rule 3: a failed delivery goes to the backlog without those that wait behind it, of which
    only the last one follows."""

    def failed(self, delivery: Delivery) -> None:
        lane = self._landed(delivery)
        self._steps.redirect.append(delivery)
        if len(lane.waiting) > 1:
            self._steps.redirect.append(lane.waiting.pop())
        self._redirect_later = list(lane.waiting)
        self._redirect_waiting(lane)
        self._steps.redirect = [
            one for one in self._steps.redirect if one not in self._redirect_later
        ]


class LedgerByEvent(Ledger):
    """Rule 4: the ledger names only events of which every delivery is settled."""

    def state(self) -> LedgerState:
        return replace(super().state(), partial=())


class WithLedgerByEvent(EventPartition):
    def __init__(self, place: Place, group: str, inherited: LedgerState, lanes: LaneTable) -> None:
        super().__init__(place, group, inherited, lanes)
        self.ledger = LedgerByEvent(inherited)
        self.draft = Draft(place, self.ledger, lanes)


class ForgetsTheLedger(EventPartition):
    """Rule 4: a new owner begins with an empty ledger."""

    def __init__(self, place: Place, group: str, inherited: LedgerState, lanes: LaneTable) -> None:
        super().__init__(place, group, LedgerState(inherited.offset), lanes)


def blocked_by_the_first(share: Share, *arguments: Any) -> Iterator[Record]:
    """Rule 3: `blocked` gives the lowest redirected sequence."""
    lowest: dict[LaneId, Delivery] = {}
    for redirect in share.redirects:
        lowest.setdefault(redirect.delivery.lane, redirect.delivery)
    return records_of(replace(share, blocked=tuple(lowest.values())), *arguments)


def tombstones_last(share: Share, *arguments: Any) -> Iterator[Record]:
    """Rule 5: the tombstones of a lane that opened come after what blocks it again."""
    yield from records_of(replace(share, tombstones=()), *arguments)
    only = replace(share, blocked=(), redirects=(), dead_letters=(), attempts=(), ledger=None)
    yield from records_of(only, *arguments)


class ReleasesFirst(Backlog):
    """Rule 9: the release goes out beside the last tombstone."""

    def _resolved(self, waiting: Waiting, now_ms: int) -> list[Command]:
        commands = super()._resolved(waiting, now_ms)
        if self._spool.following(waiting.lane, waiting.sequence, 1):
            return commands
        self._owe(waiting)
        return [*map(WriteRelease, self._spool.owed(waiting.partition)), *commands]


class LowerTicketWins(Intake):
    """Rule 8: the ticket that was read last holds."""

    def _apply(self, lane: LaneId, sequence: int, standing: Standing, place: TicketPlace) -> bool:
        known = self._spool.get(lane, sequence)
        if known is None:
            return False
        self._spool.stand(lane, sequence, standing, place)
        self._backlog.task_came(lane, known.subscription)
        return True


def halted_task_again(write: Write, layout: Layout, at_ms: int) -> Record:
    """Rule 10: the retrier writes a task again, to say that it is halted."""
    if not isinstance(write, WriteTicket) or not write.standing.halted:
        return record_of(write, layout, at_ms)
    waiting = write.waiting
    task = replace(TASKS.decode(waiting.record), attempts=write.standing.attempts, halted=True)
    key = task_key(waiting.lane, waiting.sequence)
    return Record(layout.names.backlog, waiting.partition, key, TASKS.encode(task))


class DeletedTooEarly(Follower):
    """Rule 7: what the retrier has not read of is deleted."""

    def is_deleted(self, subscription: str, config_offset: int, uid: str | None) -> bool:
        return self.entry(subscription) is None


def _bounds(
    keys: str, failures: int, fanout_crashes: int = 0, retrier_crashes: int = 0, **more: Any
) -> Bounds:
    return Bounds(
        keys=keys,
        failures=failures,
        fanout_crashes=fanout_crashes,
        retrier_crashes=retrier_crashes,
        **more,
    )


MUTANTS = (
    Mutant(
        "3: redirected while an attempt of the lane is in flight",
        replace(PRODUCT, schedule=RedirectsBehindAnAttempt),
        _bounds("aa", 0),
        "order",
    ),
    Mutant(
        "1: attempted while an attempt of the lane is in flight",
        replace(PRODUCT, schedule=AttemptsBesideAnAttempt),
        _bounds("aa", 0),
        "order",
    ),
    Mutant(
        "3: redirected with a gap",
        replace(PRODUCT, schedule=LeavesAGap),
        _bounds("aaa", 1),
        "order",
    ),
    Mutant(
        "3: records and offsets visible one by one",
        replace(PRODUCT, visibility=Visibility.ONE_BY_ONE),
        _bounds("aa", 1, 1),
        "durability",
    ),
    Mutant(
        "3: records visible one by one, then the offset",
        replace(PRODUCT, visibility=Visibility.OFFSET_LAST),
        _bounds("aaa", 1, 1),
        "repeats",
    ),
    Mutant(
        "3: `blocked` without the highest sequence",
        replace(PRODUCT, records=blocked_by_the_first),
        _bounds("aaa", 1, 1),
        "order",
    ),
    Mutant(
        "4: the ledger by event instead of by delivery",
        replace(PRODUCT, partition=WithLedgerByEvent),
        _bounds("aa", 0, 1, subscriptions=2),
        "newest last",
    ),
    Mutant(
        "4: the inherited ledger forgotten",
        replace(PRODUCT, partition=ForgetsTheLedger),
        _bounds("ab", 0, 1),
        "settled",
    ),
    Mutant(
        "5: restored to the last stable offset",
        replace(PRODUCT, fanout_restores_to_high_watermark=False),
        _bounds("aa", 1, 1),
        "order",
    ),
    Mutant(
        "5: tombstones behind what blocks the lane again",
        replace(PRODUCT, records=tombstones_last),
        _bounds("aaa", 2, 1),
        "order",
    ),
    Mutant(
        "3: written without a transaction, by a fan-out that was cut off",
        replace(PRODUCT, visibility=Visibility.WHILE_OWNER),
        _bounds("aa", 1, fanout_zombies=1, idle_zombies=True),
        "newest last",
    ),
    Mutant(
        "3: stale group metadata, which the group does not check",
        replace(PRODUCT, generation_is_checked=False),
        _bounds("aa", 1, fanout_zombies=1, idle_zombies=True),
        "settled",
    ),
    Mutant(
        "5: the tombstones of a lane outside of the transaction",
        replace(PRODUCT, lane_tombstones_apart=True),
        _bounds("aaa", 2, 1),
        "order",
    ),
    Mutant(
        "5: restored before the transaction of the owner before has ended",
        replace(PRODUCT, waits_for_predecessor=False),
        _bounds("aa", 1, 1),
        "settled",
    ),
    Mutant(
        "7: restored before the transaction of the retrier before has ended",
        replace(PRODUCT, waits_for_predecessor=False),
        _bounds("aa", 1, 0, 1),
        "newest last",
    ),
    Mutant(
        "7: written without a transaction, by a retrier that was cut off",
        replace(PRODUCT, retrier_visibility=Visibility.ONE_BY_ONE),
        _bounds("aa", 1, retrier_zombies=1),
        "newest last",
    ),
    Mutant(
        "7: a subscription taken for deleted too early",
        replace(PRODUCT, follower=DeletedTooEarly),
        _bounds("a", 1, unread=True),
        "durability",
    ),
    Mutant(
        "10: a halted task is written again",
        replace(PRODUCT, record_of=halted_task_again),
        _bounds("aa", 2, halts=True, skips=1),
        "repeats",
    ),
    Mutant(
        "a topic made again under the same lane ids",
        replace(PRODUCT, topic_id_in_lanes=False),
        _bounds("a", 2, again="a"),
        "durability",
    ),
    Mutant(
        "7: the retrier restored to the last stable offset",
        replace(PRODUCT, retrier_restores_to_high_watermark=False),
        _bounds("aaa", 2, 1, 1),
        "order",
    ),
    Mutant(
        "7: restored without its spool and without the blocked lanes",
        replace(PRODUCT, reads_blocked_lanes=False),
        _bounds("a", 1, 0, 1),
        "no dead end",
    ),
    Mutant(
        "9: lanes that were resolved by another owner are not looked after",
        replace(PRODUCT, looks_after_orphans=False),
        _bounds("a", 1, 0, 2, two_spools=True),
        "no dead end",
    ),
    Mutant(
        "8: a lower ticket wins",
        replace(PRODUCT, intake=LowerTicketWins),
        _bounds("a", 2, 0, 0, retries=2),
        "attempt counts",
    ),
    Mutant(
        "9: the release before the tombstone",
        replace(PRODUCT, backlog=ReleasesFirst),
        _bounds("aa", 1, 0, 1),
        "newest last",
    ),
)
