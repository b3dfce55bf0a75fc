"""Rules taken away, one by one: what the simulation must not let pass.

Each is a subclass of one of the product's classes, or an outside that answers wrongly; `seeds` are
some that are known to catch it, so that nobody has to search.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hooklane.fanout.delivery import Place
from hooklane.fanout.ownership import Restorer
from hooklane.fanout.restore import Restored
from hooklane.fanout.schedule import Schedule
from hooklane.fanout.service import FanOut, Outside
from hooklane.retrier.backlog import Backlog
from hooklane.retrier.service import Retrier
from hooklane.runtime.fence import Fence
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Division, Redivision
from hooklane.runtime.group_poll import GroupPoll
from hooklane.runtime.kafka_admin import Partition
from tests.model.mutants import (
    AttemptsBesideAnAttempt,
    LeavesAGap,
    LowerTicketWins,
    RedirectsBehindAnAttempt,
    ReleasesFirst,
)
from tests.simulation.admin import SimAdmin
from tests.simulation.group import Answer
from tests.simulation.parts import Product
from tests.simulation.plan import Plan, plan_of
from tests.simulation.producer import SimTransactions
from tests.simulation.scenes import (
    emptied_lanes,
    given_up,
    handovers,
    late_writers,
    returns,
    zombies,
)
from tests.simulation.services import FANOUT_GROUP, NAMES, RETRIER_GROUP

PRODUCT = Product()


@dataclass(frozen=True, slots=True)
class Mutant:
    rule: str
    parts: Product
    seeds: tuple[int, ...] = field(default=())
    plan: Callable[[int], Plan] = plan_of


def scheduled_by(schedule: type[Schedule]) -> Callable[..., FanOut]:
    """A fan-out with another schedule."""

    class Scheduled(FanOut):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            limits, dispatcher = self._limits, self._dispatcher
            dispatcher._schedule = schedule(
                dispatcher._gate, limits.max_in_flight, limits.patience_s
            )

    return Scheduled


class _WithoutLedger:
    """Rule 4: a new owner begins with an empty ledger."""

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer

    async def restore(self, place: Place) -> Restored:
        return replace(await self._restorer.restore(place), ledger=None)

    def forget(self, place: Place) -> None:
        self._restorer.forget(place)


class ForgetsTheLedger(FanOut):
    def __init__(self, process: Any, outside: Outside, *others: Any) -> None:
        real = outside.restorer
        outside = replace(outside, restorer=lambda released: _WithoutLedger(real(released)))
        super().__init__(process, outside, *others)


class LastStableOffset(SimAdmin):
    """Rules 5 and 7: a restore reads only to the last stable offset."""

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self._wire.ask()
        return {one: self._cluster.logs[one].stable_end for one in partitions}


class NoBlockedLanes(SimAdmin):
    """Rule 7: a retrier without its spool does not ask which lanes are blocked."""

    def high_watermarks(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        found = super().high_watermarks(partitions)
        return {one: 0 if one.topic == NAMES.lanes else end for one, end in found.items()}


class BelievesOldSpools(SimAdmin):
    """Rule 7: a checkpoint is used however old it is."""

    def configs(self, names: Any) -> dict[str, dict[str, str]]:
        return {name: {"delete.retention.ms": "9999999"} for name in names}


class TombstonesOutside(SimTransactions):
    """Rule 5: the tombstones of a lane that opened are written beside the transaction."""

    def produce(
        self, topic: str, value: bytes | None, key: bytes, partition: int, on_delivery: Any = None
    ) -> None:
        if topic == NAMES.lanes and value is None:
            log = self._cluster.log(topic, partition)
            log.append(key, value, self._cluster.wall_ms())
        else:
            super().produce(topic, value, key, partition, on_delivery)


class TombstonesLast(SimTransactions):
    """Rule 5: the tombstones of a lane that opened come after what blocks it again."""

    def send_offsets_to_transaction(self, *arguments: Any, **named: Any) -> None:
        for pairs in self._buffer.values():
            pairs.sort(key=lambda pair: pair.value is None)
        super().send_offsets_to_transaction(*arguments, **named)


class Unfenced(SimTransactions):
    """Rule 3: the broker does not check who the group's member is now."""

    def _checked(self, metadata: bytes) -> Answer:
        return Answer.WELL if self._group.name == FANOUT_GROUP else super()._checked(metadata)


class OneByOne(SimTransactions):
    """Rule 3: no transaction: each record counts as soon as it is written."""

    groups = (FANOUT_GROUP,)

    def _flush(self, timeout: float, *, some: bool = False) -> None:
        if self._group.name not in self.groups:
            super()._flush(timeout, some=some)
            return
        while self._buffer:
            self._reach(timeout)
            place = self._wire.rng.choice(list(self._buffer))
            records, log = self._buffer.pop(place), self._cluster.logs[place]
            first = log.end
            for one in records:
                log.append(one.key, one.value, self._cluster.wall_ms())
            self._tell(place, first, records)


class RetriersOneByOne(OneByOne):
    """Rule 7: the same for retriers."""

    groups = (RETRIER_GROUP,)


class DoesNotWait(SimAdmin):
    """Rule 5: a new owner does not wait for what its predecessors' transactions become."""

    def committed_offsets(
        self, group_id: str, partitions: Sequence[Partition]
    ) -> dict[Partition, int | None]:
        self._wire.ask()
        offsets = self._cluster.groups[group_id].offsets
        return {one: offsets.get(one) for one in partitions}


class AlwaysOpen(Fence):
    """Self-fencing: who slept goes on as if nothing had happened."""

    def is_open(self, now: float) -> bool:
        return True


class TakesLowerTickets(Retrier):
    """Rule 8: the ticket that was read last holds."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._intake = LowerTicketWins(self._spool, self._backlog)


class WritesTombstonesFirst(Backlog):
    """Rule 10: a task that is given up is resolved without a dead letter."""

    def _given_up(self, attempt: Any, *arguments: Any) -> Any:
        return self._resolved(attempt.waiting, arguments[-1])


class JoinsAtOnce(GroupPoll):
    """`subscribe` right behind `unsubscribe`, also in the midst of a rebalance."""

    def _rejoin(self) -> None:
        super()._rejoin()
        self._leaving = False
        self._subscribe()


class LooksAway(Redivision):
    """Sees nothing in a group."""

    def look(self, division: Division, wanted: Collection[Assigned], at: float) -> list[Assigned]:
        return []


MUTANTS = (
    Mutant(
        "1: attempted while an attempt of the lane is in flight",
        replace(PRODUCT, fanout=scheduled_by(AttemptsBesideAnAttempt)),
        (7, 0),
    ),
    Mutant(
        "3: redirected while an attempt of the lane is in flight",
        replace(PRODUCT, fanout=scheduled_by(RedirectsBehindAnAttempt)),
        (7, 13),
    ),
    Mutant("3: redirected with a gap", replace(PRODUCT, fanout=scheduled_by(LeavesAGap)), (3, 1)),
    Mutant(
        "3: no fence at the group's generation",
        replace(PRODUCT, transactions=Unfenced),
        (2, 6),
        zombies,
    ),
    Mutant("3: records visible one by one", replace(PRODUCT, transactions=OneByOne), (16, 34)),
    Mutant(
        "4: the inherited ledger forgotten", replace(PRODUCT, fanout=ForgetsTheLedger), (14, 10)
    ),
    Mutant(
        "5: restored to the last stable offset",
        replace(PRODUCT, fanout_admin=LastStableOffset),
        (1, 2),
        handovers,
    ),
    Mutant(
        "5: tombstones outside the transaction",
        replace(PRODUCT, transactions=TombstonesOutside),
        (24,),
    ),
    Mutant(
        "5: tombstones behind what blocks the lane again",
        replace(PRODUCT, transactions=TombstonesLast),
        (34,),
        handovers,
    ),
    Mutant(
        "7: the retrier restored to the last stable offset",
        replace(PRODUCT, retrier_admin=LastStableOffset),
        (14, 21),
        handovers,
    ),
    Mutant(
        "7: restored without its spool and without the blocked lanes",
        replace(PRODUCT, retrier_admin=NoBlockedLanes),
        (4, 13),
        emptied_lanes,
    ),
    Mutant(
        "5: restored before the transaction of the owner before has ended",
        replace(PRODUCT, fanout_admin=DoesNotWait),
        (29,),
        handovers,
    ),
    Mutant(
        "7: what retriers write is visible one by one",
        replace(PRODUCT, transactions=RetriersOneByOne),
        (30,),
        late_writers,
    ),
    Mutant(
        "7: an old checkpoint is believed",
        replace(PRODUCT, retrier_admin=BelievesOldSpools),
        (0, 1),
        returns,
    ),
    Mutant("8: a lower ticket wins", replace(PRODUCT, retrier=TakesLowerTickets), (1,)),
    Mutant("9: the release before the tombstone", replace(PRODUCT, backlog=ReleasesFirst), (29,)),
    Mutant(
        "10: resolved without its dead letter",
        replace(PRODUCT, backlog=WritesTombstonesFirst),
        (1,),
    ),
    Mutant(
        "3: joins anew before everything was given back",
        replace(PRODUCT, retrier_poll=JoinsAtOnce),
        (14,),
    ),
    Mutant(
        "nobody sees that a partition has no owner",
        replace(PRODUCT, redivision=LooksAway),
        (22, 51),
        given_up,
    ),
    Mutant("self-fencing taken away", replace(PRODUCT, fence=AlwaysOpen), (106,)),
)
