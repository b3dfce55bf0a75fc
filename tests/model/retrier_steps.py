"""What can happen next in and around the retrier."""

from collections.abc import Iterable

from tests.model.fanout_part import DELIVERED, FAILED, REFUSED
from tests.model.fanout_steps import FanOutSteps
from tests.model.retrier_part import Retrier
from tests.model.scene import LATER_MS, NOW_MS, Late, Log
from tests.model.steps import Stage, Step, Steps
from tests.model.world import Compaction, Numbers, RetrierState, World, is_stable, stable

NONE_LATE: tuple[Numbers, ...] = ((), (), (), ())


class RetrierSteps:
    def __init__(self, stage: Stage, fanout: FanOutSteps) -> None:
        self._stage = stage
        self._bounds = stage.bounds
        self._cast = stage.cast
        self._name = stage.name
        self._append = fanout.append

    def of(self, world: World) -> Steps:
        yield from self._late(world)
        if world.retrier_state is not RetrierState.UP:
            yield from self._restores(world)
            return
        view = self._cast.view(world.retrier)
        yield from self._reads(world)
        yield from self._starts(world)
        for delivery in view.running:
            yield from self._ends(world, delivery)
        for log in Log:
            if view.outbox[log.value]:
                yield from self._writes(world, log, view.outbox[log.value])
            if view.refused[log.value]:
                text = f"what the broker refused is written to {log.name.lower()} again"
                yield self._act(world, text, "again", log)
        if world.retrier_crashes:
            yield from self._crashes(world, view.outbox, view.first_open_ticket)

    def _act(self, world: World, text: str, method: str, *arguments: object) -> Step:
        retrier, starts = self._cast.act(world.retrier, method, *arguments)
        return self._stage.starting(text, world._replace(retrier=retrier), starts)

    def passed_over(self, world: World) -> World:
        """With tombstones and tickets read that say nothing new."""
        if world.retrier_state is not RetrierState.UP:
            return world
        retrier, read, read_tier = world.retrier, world.read, world.read_tier
        while read < stable(world.backlog):
            number = world.backlog[read]
            tombstone = self._stage.catalogue.about(number).tombstone
            if not tombstone or self._cast.act(retrier, "read", number) != (retrier, ()):
                break
            read += 1
        while read_tier < stable(world.tier):
            number = world.tier[read_tier]
            if self._cast.act(retrier, "read_ticket", read_tier, number) != (retrier, ()):
                break
            read_tier += 1
        if (read, read_tier) == (world.read, world.read_tier):
            return world
        return world._replace(read=read, read_tier=read_tier)

    def _reads(self, world: World) -> Steps:
        if world.read < stable(world.backlog):
            number = world.backlog[world.read]
            text = f"retrier reads {self._stage.texts((number,))}"
            yield self._act(world._replace(read=world.read + 1), text, "read", number)
        if world.read_tier < stable(world.tier):
            number = world.tier[world.read_tier]
            after = world._replace(read_tier=world.read_tier + 1)
            text = f"retrier reads {self._stage.texts((number,))}"
            yield self._act(after, text, "read_ticket", world.read_tier, number)

    def _starts(self, world: World) -> Steps:
        step = self._act(world, "retrier begins what is due", "start")
        if step.after.retrier != world.retrier:
            yield step

    def _ends(self, world: World, delivery: int) -> Steps:
        """An attempt of the retrier ends, in every way that there is."""
        name, bit, promises = self._name(delivery), 1 << delivery, self._stage.promises
        heard, violation = promises.accepted(world, delivery)
        heard = heard._replace(known=world.known | bit)
        for now_ms, due in ((LATER_MS, ""), (NOW_MS, ", the next one is not due")):
            text = f"retrier delivers {name}{due}"
            step = self._act(heard, text, "ended", delivery, DELIVERED, now_ms)
            yield step._replace(violation=violation or step.violation)
        if world.failures:
            less = world._replace(failures=world.failures - 1)
            text = f"retrier's attempt of {name} fails"
            yield self._act(less, text, "ended", delivery, FAILED, NOW_MS)
            lost, violation = promises.accepted(less, delivery)
            text = f"retrier's attempt of {name} is accepted, but the response is lost"
            step = self._act(lost, text, "ended", delivery, FAILED, NOW_MS)
            yield step._replace(violation=violation or step.violation)
        if world.refusals:
            less = world._replace(refusals=world.refusals - 1)
            text = f"retrier's attempt of {name} is refused for good"
            yield self._act(less, text, "ended", delivery, REFUSED, NOW_MS)

    def _writes(self, world: World, log: Log, waiting: Numbers) -> Steps:
        """The first record is in Kafka and acknowledged, or refused."""
        number = waiting[0]
        offset = len(world.tier) if log is Log.TIER else 0
        after, violation = self._written(world, log, number)
        text = f"retrier's {self._stage.texts((number,))} is acknowledged"
        step = self._act(self._with_floor(after, (number,)), text, "acked", log, offset)
        yield step._replace(violation=violation or step.violation)
        if world.rewrites:
            less = world._replace(rewrites=world.rewrites - 1)
            text = f"the broker refuses {self._stage.texts((number,))}"
            yield self._act(less, text, "refused", log)

    def _written(self, world: World, log: Log, number: int) -> tuple[World, str | None]:
        about, violation = self._stage.catalogue.about(number), None
        resolved = (world.known | world.lettered) >> max(about.delivery, 0) & 1
        if log is Log.BACKLOG and about.tombstone and not resolved:
            violation = f"durability: {about.text}, but it is neither delivered nor a dead letter"
        return self._append(world, log, number), violation

    def _late(self, world: World) -> Steps:
        """What a retrier had given to its producer when it died reaches the broker after all."""
        for log in Log:
            if world.late[log.value]:
                number, *others = world.late[log.value]
                late = list(world.late)
                late[log.value] = tuple(others)
                after, violation = self._written(world._replace(late=tuple(late)), log, number)
                text = f"the dead retrier's {self._stage.texts((number,))} is written"
                yield Step((text,), after, violation)

    def _crashes(
        self, world: World, outbox: tuple[Numbers, ...], first_open_ticket: int | None
    ) -> Steps:
        open_ticket = world.read_tier if first_open_ticket is None else first_open_ticket
        gone = world._replace(
            retrier_crashes=world.retrier_crashes - 1,
            read_tier=min(open_ticket, world.read_tier),
            late=self._may_be_late(outbox),
        )
        kept, _ = self._cast.act(world.retrier, "crash")
        gone = gone._replace(retrier=kept, retrier_state=RetrierState.DOWN)
        yield Step(("retrier dies, its spool is kept",), gone)
        state = RetrierState.DOWN_WITHOUT_SPOOL
        lost = gone._replace(retrier=self.first(), retrier_state=state, read=0)
        yield Step(("retrier dies with its spool",), lost)

    def _may_be_late(self, outbox: tuple[Numbers, ...]) -> tuple[Numbers, ...]:
        if self._bounds.late is not Late.RELEASES:
            return outbox
        return tuple(outbox[log.value] if log is Log.LANES else () for log in Log)

    def first(self) -> int:
        """A retrier without anything."""
        return self._cast.made("retrier", lambda: Retrier(self._stage.scene))

    def _restores(self, world: World) -> Steps:
        """Without its spool it asks for the blocked lanes first, then it reads (rule 7)."""
        if world.retrier_state is RetrierState.DOWN_WITHOUT_SPOOL:
            yield from self._begins_anew(world)
            return
        whole = not self._stage.parts.retrier_restores_to_high_watermark
        if not whole and not (is_stable(world.backlog) and is_stable(world.tier)):
            return
        backlog = world.backlog[world.read : stable(world.backlog)]
        for how in Compaction:
            if how is Compaction.TOMBSTONES and world.read:
                continue  # A checkpoint older than the tombstones' keeping is not continued from.
            found = self._stage.cleaner.compacted(backlog, how)
            if how is Compaction.NONE or found != backlog:
                yield self._restore(world, found, how)

    def _begins_anew(self, world: World) -> Steps:
        if is_stable(world.lanes):
            yield self._read_blocked(world)
        if not world.retrier_crashes or not self._stage.parts.saves_before_blocked_lanes:
            return
        backlog = world.backlog[: stable(world.backlog)]
        after = world._replace(
            retrier_state=RetrierState.DOWN,
            retrier_crashes=world.retrier_crashes - 1,
            read=len(backlog),
        )
        for how in Compaction:
            found = self._stage.cleaner.compacted(backlog, how)
            text = f"a new retrier reads the backlog, {how.value}, saves its spool and dies"
            yield self._act(after, text, "read_all", found)

    def _read_blocked(self, world: World) -> Step:
        after = world._replace(retrier_state=RetrierState.DOWN)
        if not self._stage.parts.reads_blocked_lanes:
            return Step(("a new retrier begins",), after)
        text = "a new retrier reads which lanes are blocked"
        return self._act(after, text, "read_blocked", world.lanes)

    def _restore(self, world: World, backlog: Numbers, how: Compaction) -> Step:
        tickets = world.tier[world.read_tier : stable(world.tier)]
        after = world._replace(
            retrier_state=RetrierState.UP,
            read=stable(world.backlog),
            read_tier=stable(world.tier),
        )
        text = f"the retrier restores: backlog {how.value}"
        after = self._with_floor(after, tickets)
        arguments = (backlog, tickets, world.read_tier)
        return self._act(after, text, "restore", *arguments)

    def _with_floor(self, world: World, numbers: Iterable[int]) -> World:
        """The retrier knows these tickets now."""
        floors = list(world.floors)
        for number in numbers:
            about = self._stage.catalogue.about(number)
            if about.log is Log.TIER:
                floors[about.delivery] = max(floors[about.delivery], about.number)
        return world._replace(floors=tuple(floors))
