"""What can happen next in and around the retrier."""

from collections.abc import Iterable, Sequence

from tests.model.fanout_part import DELIVERED, FAILED, REFUSED
from tests.model.retrier_part import Retrier, RetrierView
from tests.model.scene import LATER_MS, NOW_MS, Log, Visibility
from tests.model.steps import Records, Stage, Step, Steps
from tests.model.transaction_steps import is_answered
from tests.model.world import (
    GAP,
    Aside,
    CutOff,
    Numbers,
    Phase,
    RetrierState,
    Transaction,
    World,
    Writer,
    hidden,
    is_stable,
    stable,
)

_TIERS = (Log.TIER, Log.LATER_TIER)
_NAMES = "the first tier", "the second tier"


class RetrierSteps:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bounds, self._parts = stage.bounds, stage.parts
        self._cast = stage.cast
        self._name = stage.name

    def of(self, world: World) -> Steps:
        if world.retrier_state is not RetrierState.UP:
            yield from self._restores(world)
            return
        view: RetrierView = self._cast.view(world.retrier)
        yield from self._reads(world)
        if view.reads_on:
            yield self._act(world, "retrier reads the subscriptions", "read_subscriptions")
        if self._may_look_after(world):
            text = "retrier looks after lanes that were resolved without it"
            yield self._act(world, text, "look_after", world.lanes)
        yield from self._starts(world)
        for delivery in view.running:
            yield from self._ends(world, delivery)
        yield from self._writes(world, view.outbox)
        for log, number in view.halted:
            if number not in world.logs[log]:
                yield self._nudge(world, log, number)
        yield from self._skips(world)
        yield from self._goes(world, view)

    def _act(self, world: World, text: str, method: str, *arguments: object) -> Step:
        retrier, starts = self._cast.act(world.retrier, method, *arguments)
        return self._stage.starting(text, world._replace(retrier=retrier), starts)

    def passed_over(self, world: World) -> World:
        """With tombstones and tickets read that say nothing new."""
        if world.retrier_state is not RetrierState.UP:
            return world
        retrier, read, tiers = world.retrier, world.read, list(world.read_tiers)
        while read < stable(world.backlog):
            number = world.backlog[read]
            tombstone = self._stage.catalogue.about(number).tombstone
            if not tombstone or self._cast.act(retrier, "read", number) != (retrier, ()):
                break
            read += 1
        for tier, log in enumerate(world.tiers):
            while tiers[tier] < stable(log):
                at = tiers[tier]
                if log[at] != GAP:
                    acted = self._cast.act(retrier, "read_ticket", tier, at, log[at])
                    if acted != (retrier, ()):
                        break
                tiers[tier] += 1
        passed = (read, tuple(tiers))
        if passed != (world.read, world.read_tiers):
            world = world._replace(read=read, read_tiers=passed[1])
        return self._looked_after(world)

    def _looked_after(self, world: World) -> World:
        """With lanes looked after that are not blocked: nothing is owed to them, now or later."""
        if not self._may_look_after(world):
            return world
        looked = self._cast.act(world.retrier, "look_after", world.lanes)
        if looked != self._cast.act(world.retrier, "forget_orphans"):
            return world
        return world._replace(retrier=looked[0])

    def _may_look_after(self, world: World) -> bool:
        """One step from the lanes to the backlog's end: what comes between brings its release."""
        if not (self._parts.looks_after_orphans and self._cast.view(world.retrier).has_orphans):
            return False
        return is_stable(world.lanes) and world.read == len(world.backlog)

    def _reads(self, world: World) -> Steps:
        if world.read < stable(world.backlog):
            number = world.backlog[world.read]
            text = f"retrier reads {self._stage.texts((number,))}"
            yield self._act(world._replace(read=world.read + 1), text, "read", number)
        for tier, log in enumerate(world.tiers):
            at = world.read_tiers[tier]
            if at < stable(log) and log[at] != GAP:
                after = world._replace(read_tiers=_one_more(world.read_tiers, tier))
                text = f"retrier reads {self._stage.texts((log[at],))} of {_NAMES[tier]}"
                yield self._act(after, text, "read_ticket", tier, at, log[at])

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

    def _writes(self, world: World, outbox: Sequence[tuple[Log, int]]) -> Steps:
        """Some of what is to be written, from the first on, in one transaction; a mutant writes
        each record by itself, in the order of its log."""
        if self._parts.retrier_visibility is not Visibility.TRANSACTION:
            for log in Log:
                yield from self._write_one(world, outbox, log)
            return
        for count in range(1, len(outbox) + 1):
            batch = outbox[:count]
            after, violation = self._stage.append_all(world, by_log(batch))
            after = self._with_floor(after, [number for _, number in batch])
            step = self._act(after, self._told(batch), "acked", offsets_of(world, batch))
            yield step._replace(violation=violation or step.violation)

    def _write_one(self, world: World, outbox: Sequence[tuple[Log, int]], log: Log) -> Steps:
        at = next((at for at, (other, _) in enumerate(outbox) if other is log), None)
        if at is None:
            return
        _, number = outbox[at]
        offset = offsets_of(world, outbox[at : at + 1])[0]
        after, violation = self._stage.append(world, log, number)
        after = self._with_floor(after, [number])
        text = f"retrier writes {self._stage.texts((number,))}"
        step = self._act(after, text, "acked_alone", at, offset)
        yield step._replace(violation=violation or step.violation)

    def _told(self, batch: Sequence[tuple[Log, int]]) -> str:
        return f"retrier writes {self._stage.texts(tuple([number for _, number in batch]))}"

    def _nudge(self, world: World, log: Log, number: int) -> Step:
        after, violation = self._stage.append(world, log, number)
        text = f"an operator lets it be tried again: {self._stage.texts((number,))}"
        return Step((text,), after, violation)

    def _skips(self, world: World) -> Steps:
        """An operator gives up the first task of a lane: a dead letter, then the tombstone."""
        if not world.skips:
            return
        for delivery in self._stage.promises.firsts(world):
            lane, sequence = self._stage.catalogue.deliveries[delivery][:2]
            number = self._stage.tombstone(lane, sequence)
            lettered = world._replace(
                lettered=world.lettered | 1 << delivery, skips=world.skips - 1
            )
            after, violation = self._stage.append(lettered, Log.BACKLOG, number)
            yield Step((f"an operator skips {self._name(delivery)}",), after, violation)

    def _goes(self, world: World, view: RetrierView) -> Steps:
        """It dies with or without its spool, or it is cut off and does not know."""
        if world.retrier_crashes:
            dead = world._replace(retrier_crashes=world.retrier_crashes - 1)
            yield from self._dies(dead, view, "retrier dies")
            if self._parts.retrier_visibility is Visibility.TRANSACTION:
                yield from self._dies_within(dead, view)
        if world.retrier_zombies and world.cut_retrier is None:
            ghost = CutOff(world.retrier, 0, world.read, world.read_tiers)
            cut = world._replace(cut_retrier=ghost, retrier_zombies=world.retrier_zombies - 1)
            yield from self._dies(cut, view, "retrier is cut off, and goes on: its successor's")

    def _dies_within(self, world: World, view: RetrierView) -> Steps:
        """Whether the transaction commits or not, its owner does not hear it."""
        for count in range(1, len(view.outbox) + 1):
            batch = view.outbox[:count]
            text, records = self._told(batch), by_log(batch)
            if self._stage.merges_commits:
                after, violation = self._stage.append_all(world, records)
                for step in self._dies(after, view, f"{text}, and dies before it hears:"):
                    yield step._replace(violation=violation or step.violation)
                continue
            letters = self._stage.letters(records)
            logs = tuple(
                (*log, *hidden(numbers, Writer.RETRIER))
                for log, numbers in zip(world.logs, records, strict=False)
            )
            after = world._replace(logs=logs)
            left = Transaction(Phase.LEFT_OPEN, 0)
            said = f"{text}, and dies, the transaction is"
            yield from self._dies(
                after.with_transaction(Writer.RETRIER, left), view, f"{said} left open:"
            )
            decided = Transaction(Phase.DECIDED, 0, letters)
            after = after._replace(lettered=world.lettered | letters)
            after = after.with_transaction(Writer.RETRIER, decided)
            yield from self._dies(after, view, f"{said} decided to commit:")
            offered = Transaction(Phase.OFFERED, 0, 0, records)
            after = world.with_transaction(Writer.RETRIER, offered)
            yield from self._dies(after, view, f"{said} with the group:")

    def _dies(self, world: World, view: RetrierView, text: str) -> Steps:
        opened = tuple(
            read if first is None else min(first, read)
            for first, read in zip(view.first_open_tickets, world.read_tiers, strict=True)
        )
        gone = world._replace(read_tiers=opened)
        kept, _ = self._cast.act(world.retrier, "crash")
        gone = gone._replace(retrier=kept, retrier_state=RetrierState.DOWN)
        yield Step((f"{text} spool is kept",), gone)
        state = RetrierState.DOWN_WITHOUT_SPOOL
        lost = gone._replace(retrier=self.first(), retrier_state=state, read=0)
        yield Step((f"{text} spool is gone",), lost)
        if world.aside is not None:
            older = world.aside
            again = gone._replace(retrier=older.retrier, read=older.read, aside=None)
            yield Step((f"{text} spool is an older one",), again)
        elif self._bounds.two_spools:
            yield Step(
                (f"{text} spool is another one",), lost._replace(aside=Aside(kept, world.read))
            )

    def first(self) -> int:
        """A retrier without anything."""
        return self._cast.made("retrier", lambda: Retrier(self._stage.scene))

    def _restores(self, world: World) -> Steps:
        """Its predecessor's transaction has ended; without its spool it asks for the blocked lanes;
        then it reads (rule 7)."""
        answered = is_answered(world, Writer.RETRIER) or not self._parts.waits_for_predecessor
        if not answered:
            return
        if world.retrier_state is RetrierState.DOWN_WITHOUT_SPOOL:
            yield from self._begins_anew(world)
            return
        whole = not self._parts.retrier_restores_to_high_watermark
        if not whole and not all(map(is_stable, (world.backlog, *world.tiers))):
            return
        backlog = world.backlog[world.read : stable(world.backlog)]
        # A checkpoint older than the tombstones' keeping is not continued from.
        has_spool = world.retrier_state is RetrierState.DOWN
        for found in self._stage.cleaner.compactions(backlog, has_spool):
            yield self._restore(world, found.log, found.how)

    def _begins_anew(self, world: World) -> Steps:
        if is_stable(world.lanes):
            yield self._read_blocked(world)
        if not world.retrier_crashes or not self._parts.saves_before_blocked_lanes:
            return
        backlog = world.backlog[: stable(world.backlog)]
        after = world._replace(
            retrier_state=RetrierState.DOWN,
            retrier_crashes=world.retrier_crashes - 1,
            read=len(backlog),
        )
        for found in self._stage.cleaner.compactions(backlog):
            text = f"a new retrier reads the backlog, {found.how}, saves its spool and dies"
            yield self._act(after, text, "read_all", found.log)

    def _read_blocked(self, world: World) -> Step:
        after = world._replace(retrier_state=RetrierState.ANEW)
        if not self._parts.reads_blocked_lanes:
            return Step(("a new retrier begins",), after)
        text = "a new retrier reads which lanes are blocked"
        return self._act(after, text, "read_blocked", world.lanes)

    def _restore(self, world: World, backlog: Numbers, how: str) -> Step:
        tickets = tuple(
            log[read : stable(log)] for log, read in zip(world.tiers, world.read_tiers, strict=True)
        )
        after = world._replace(
            retrier_state=RetrierState.UP,
            read=stable(world.backlog),
            read_tiers=tuple(map(stable, world.tiers)),
        )
        text = f"the retrier restores: backlog {how}"
        after = self._with_floor(after, sum(tickets, ()))
        return self._act(after, text, "restore", backlog, tickets, world.read_tiers)

    def _with_floor(self, world: World, numbers: Iterable[int]) -> World:
        """The retrier knows these tickets now."""
        floors = list(world.floors)
        for number in numbers:
            about = self._stage.catalogue.about(number)
            if number != GAP and about.log in _TIERS:
                floors[about.delivery] = max(floors[about.delivery], about.number)
        return world._replace(floors=tuple(floors))


def by_log(batch: Iterable[tuple[Log, int]]) -> Records:
    """The records of a batch, by log."""
    records: list[list[int]] = [[] for _ in Log]
    for log, number in batch:
        records[log].append(number)
    return tuple(map(tuple, records))


def offsets_of(world: World, batch: Iterable[tuple[Log, int]]) -> Numbers:
    """Where the records will be, if they are the next of their logs."""
    ends = [*map(len, world.logs), 0]
    offsets = []
    for log, _ in batch:
        offsets.append(ends[log])
        ends[log] += 1
    return tuple(offsets)


def _one_more(read: Numbers, tier: int) -> Numbers:
    return (*read[:tier], read[tier] + 1, *read[tier + 1 :])
