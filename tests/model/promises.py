"""What must hold, word by word.

*Order.* An attempt of sequence t starts only when every s < t of its lane is resolved. Resolved
means: an attempt of s was accepted and its owner heard so, or s is in the dead letters for good
(committed, or acknowledged). It stays so, whatever dies afterwards: the truth is remembered here
and not by the owners.

*Repeats.* What was delivered, and its owner heard so, is attempted again only after a crash or a
lost acknowledgement, or where an operator skipped what was about to be tried. Of what the receiver
accepts from the lane, each acceptance is at most one step above the one before it, dead letters
left out: so a repeat that goes back comes up again one by one. Attempts whose owner died or was
cut off are not counted: they may arrive at any time, which `hooklane-sequence` lets the receiver
see.

*Newest last.* When everything is over, the last acceptance of each lane is its newest one. (But
for what ended in the dead letters: a repeat of it may have failed for good; and for lanes of a
topic that was deleted while its events were on their way.)

*Attempt counts survive.* An attempt's number is above that of every failed attempt whose ticket
its owner has got an acknowledgement for or could read when it was restored.

*Settled stays settled.* The fan-out attempts nothing that a committed transaction calls settled:
what lies below its offset, and what its ledger names.

*Durability.* In every state: what lies below the committed offset is delivered, or in the dead
letters, or in the backlog without a tombstone; and nothing else gets a tombstone.

*No dead end.* From every state that can be reached, a run without any further crash or failure
leads to the good end: everything delivered or in the dead letters, every offset committed, the
backlog empty, and every lane open, for the fan-out that runs and for one that would be restored.
"""

from functools import cache

from hooklane.schemas.codec import LEDGERS
from hooklane.schemas.topics import ledger_key
from tests.model.cast import Cast
from tests.model.scene import GROUP, Log, Scene
from tests.model.world import Cleaner, World, bare, is_stable, stable

_ENDS_OF_OWNERS = ("fanout_crashes", "retrier_crashes", "fanout_zombies", "retrier_zombies")


class Promises:
    def __init__(self, scene: Scene, cast: Cast, cleaner: Cleaner) -> None:
        deliveries = scene.catalogue.deliveries
        self._bounds = scene.bounds
        self._scene = scene
        self._cast = cast
        self._cleaner = cleaner
        self._named_by_ledger = cache(self._settled_by)
        self._all = (1 << len(deliveries)) - 1
        lanes = list(dict.fromkeys((one.topic_id, one.lane) for one in deliveries))
        self.lanes = len(lanes)
        self._lane = [lanes.index((one.topic_id, one.lane)) for one in deliveries]
        self._sequence = [one.sequence for one in deliveries]
        self._below = [
            sum(
                1 << other
                for other, (lane, sequence) in enumerate(self._places())
                if lane == of and sequence < at
            )
            for of, at in self._places()
        ]
        self._of_era = [
            sum(1 << at for at, one in enumerate(deliveries) if one.topic_id == topic_id)
            for topic_id in "TU"
        ]
        self._below_offset = [
            [
                sum(
                    1 << at
                    for at, one in enumerate(deliveries)
                    if one.topic_id == topic_id and one.sequence < offset
                )
                for offset in range(len(events) + 1)
            ]
            for topic_id, events in zip("TU", scene.eras, strict=True)
        ]

    def _places(self) -> list[tuple[int, int]]:
        return list(zip(self._lane, self._sequence, strict=True))

    def started(self, world: World, delivery: int, attempt: int) -> str | None:
        """What an attempt that starts now breaks."""
        name = self._scene.catalogue.lane_name(delivery)
        resolved = world.known | world.lettered | world.void
        if self._below[delivery] & ~resolved:
            return f"order: {name} is attempted before an earlier one of its lane is resolved"
        may_repeat = self._may_repeat(world) or self._skipped_unheard(world, delivery)
        if resolved >> delivery & 1 and not may_repeat:
            return f"repeats: {name} is attempted again, and nothing has died"
        if attempt <= world.floors[delivery]:
            return f"attempt counts: {name} starts attempt {attempt} once more"
        return None

    def started_by_fanout(self, world: World, delivery: int) -> str | None:
        """What an attempt of the fan-out that starts now breaks besides."""
        settled = self._settled(world)
        if not settled >> delivery & 1:
            return None
        name = self._scene.catalogue.lane_name(delivery)
        return f"settled: {name} is attempted, but a committed transaction calls it settled"

    def _settled(self, world: World) -> int:
        """What the last committed transaction calls settled, of the topic as it is now."""
        below = self._below_offset[world.era][world.committed]
        return below | self._named_by_ledger(world.lanes, world.era)

    def not_settled(self, world: World) -> int:
        """What of the event topic nobody has taken yet."""
        return self._of_era[world.era] & ~self._settled(world)

    def written(self, world: World, log: Log, number: int) -> str | None:
        """What a record breaks by being visible."""
        about = self._scene.catalogue.about(number)
        if log is not Log.BACKLOG or not about.tombstone:
            return None
        if (world.known | world.lettered) >> about.delivery & 1:
            return None
        return f"durability: {about.text}, but it is neither delivered nor a dead letter"

    def firsts(self, world: World) -> list[int]:
        """Of each lane the lowest delivery that is in the backlog."""
        waiting = self._cleaner.unresolved(world.backlog[: stable(world.backlog)])
        mine = [at for at in range(len(self._lane)) if waiting >> at & 1]
        return [at for at in mine if not waiting & self._below[at]]

    def accepted(self, world: World, delivery: int) -> tuple[World, str | None]:
        """The receiver accepts it; its owner is alive."""
        lane, sequence = self._lane[delivery], self._sequence[delivery]
        before = world.last[lane]
        world = world._replace(
            last=_with(world.last, lane, sequence),
            top=_with(world.top, lane, max(sequence, world.top[lane])),
        )
        for other, at in enumerate(self._sequence):
            between = self._lane[other] == lane and before < at < sequence
            if between and not (world.lettered | world.belated) >> other & 1:
                return world, f"repeats: the receiver accepts {sequence} right after {before}"
        return world, None

    def broken(self, world: World) -> str | None:
        """What this state breaks."""
        resolved = world.known | world.lettered
        unresolved = self._cleaner.unresolved(world.backlog)
        taken = self._below_offset[world.era][world.committed]
        if world.era:
            taken |= self._of_era[0]
        lost = taken & ~resolved & ~unresolved & ~world.void
        if lost:
            return f"durability: {self._names(lost)} is settled, but nowhere"
        if self.is_good_end(world) and self._overtaken(world):
            return "newest last: an older one was accepted after the newest"
        return None

    def is_good_end(self, world: World) -> bool:
        """Whether everything is done."""
        return (
            (world.known | world.lettered | world.void) == self._all
            and world.committed == len(self._scene.eras[world.era])
            and not self._cleaner.unresolved(world.backlog)
            and not any(world.transactions)
            and not world.loose
            and self._is_open(world)
        )

    def _overtaken(self, world: World) -> bool:
        return any(
            world.last[lane] < sequence <= world.top[lane] and not world.lettered >> at & 1
            for at, (lane, sequence) in enumerate(self._places())
            if self._of_era[world.era] >> at & 1
        )

    def _is_open(self, world: World) -> bool:
        if world.fanout < 0 or self._cast.view(world.fanout).blocked:
            return False
        return is_stable(world.lanes) and not any(
            self._blocked_after(found.log) for found in self._cleaner.compactions(world.lanes)
        )

    def _blocked_after(self, lanes: tuple[int, ...]) -> bool:
        levels: dict[bytes, dict[bytes, int]] = {}
        for number in lanes:
            about = self._scene.catalogue.about(number)
            kind, _, lane = about.key.partition(b":")
            level = levels.setdefault(lane, {})
            highest = max(about.number, level.get(kind, -1))
            level[kind] = -1 if about.tombstone else highest
        return any(
            level.get(b"released", -1) < level.get(b"blocked", -1) for level in levels.values()
        )

    def _settled_by(self, lanes: tuple[int, ...], era: int) -> int:
        """A mask of the deliveries that the newest ledger in the log names."""
        catalogue, place = self._scene.catalogue, self._scene.place(era)
        key = ledger_key(GROUP, place.topic_id, 0)
        ledgers = [bare(one) for one in lanes if catalogue.about(bare(one)).key == key]
        _, value = catalogue.record(ledgers[-1]) if ledgers else (b"", None)
        if value is None:
            return 0
        ledger, mask = LEDGERS.decode(value), 0
        for at, sequence in enumerate(self._sequence):
            whole = any(span.first <= sequence <= span.last for span in ledger.settled)
            digest = self._scene.subscriber(at)
            named = any(
                one.offset == sequence and digest in one.subscribers for one in ledger.partial
            )
            mask |= (whole or named) << at
        return mask & self._of_era[era]

    def _may_repeat(self, world: World) -> bool:
        bounds = self._bounds
        return bool(world.era) or any(
            getattr(world, name) < getattr(bounds, name) for name in _ENDS_OF_OWNERS
        )

    def _skipped_unheard(self, world: World, delivery: int) -> bool:
        """Whether its tombstone comes from an operator, and the retrier has not read it yet."""
        unread = map(self._scene.catalogue.about, map(bare, world.backlog[world.read :]))
        return any(about.tombstone and about.delivery == delivery for about in unread)

    def _names(self, mask: int) -> str:
        names = [self._scene.catalogue.lane_name(one) for one in range(len(self._sequence))]
        return ", ".join(name for at, name in enumerate(names) if mask >> at & 1)


def _with(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])
