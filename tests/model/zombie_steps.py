"""What owners do that were cut off and do not know it: whatever they like, whenever they like.

Their HTTP attempts arrive at any time, which `hooklane-sequence` lets the receiver see: they are
exempt from order, and count for the truth only in that the delivery was made. What they write is
refused by the group for its generation; until then it hides what comes behind it. A mutant's
zombie is not refused.
"""

from dataclasses import replace

from tests.model.fanout_part import DELIVERED, FAILED, FanOutView
from tests.model.fanout_steps import FanOutSteps
from tests.model.retrier_part import RetrierView
from tests.model.retrier_steps import by_log, offsets_of
from tests.model.scene import LATER_MS, NOW_MS, Log, Visibility
from tests.model.steps import Records, Stage, Step, Steps
from tests.model.world import (
    GAP,
    CutOff,
    Phase,
    Transaction,
    World,
    Writer,
    hidden,
    stable,
)

_FANOUT, _RETRIER = "the fan-out that was cut off", "the retrier that was cut off"


class ZombieSteps:
    def __init__(self, stage: Stage, fanout: FanOutSteps) -> None:
        self._stage = stage
        self._parts = stage.parts
        self._cast = stage.cast
        self._fanout = fanout

    def of(self, world: World) -> Steps:
        if world.cut_fanout is not None:
            yield from self._of_fanout(world, world.cut_fanout)
        if world.cut_retrier is not None:
            yield from self._of_retrier(world, world.cut_retrier)

    def _of_fanout(self, world: World, ghost: CutOff) -> Steps:
        view: FanOutView = self._cast.view(ghost.owner)
        yield from self._fanout_writes(world, ghost, view)
        if self._stage.bounds.idle_zombies:
            return
        if not world.era and view.position < len(self._stage.scene.eras[0]):
            yield self._acts_as_fanout(world, f"{_FANOUT} reads event {view.position}", "admit")
        for delivery in view.running:
            name = self._stage.name(delivery)
            heard = _delivered(world, delivery)
            yield self._acts_as_fanout(
                heard, f"{_FANOUT} delivers {name}", "ended", delivery, DELIVERED
            )
            if world.failures:
                less = world._replace(failures=world.failures - 1)
                text = f"an attempt of {name} by {_FANOUT} fails"
                yield self._acts_as_fanout(less, text, "ended", delivery, FAILED)
        tailed = self._fanout.passed_over(world._replace(fanout=ghost.owner, tail=ghost.tail)).tail
        if tailed < stable(world.lanes):
            number = world.lanes[tailed]
            ahead = world._replace(cut_fanout=replace(ghost, tail=tailed + 1))
            text = f"the tail of {_FANOUT} reads {self._stage.texts((number,))}"
            record = self._stage.catalogue.record(number)
            yield self._acts_as_fanout(ahead, text, "released", *record)

    def _acts_as_fanout(self, world: World, text: str, method: str, *arguments: object) -> Step:
        assert world.cut_fanout is not None
        owner, _ = self._cast.act(world.cut_fanout.owner, method, *arguments)
        return Step((text,), world._replace(cut_fanout=replace(world.cut_fanout, owner=owner)))

    def _fanout_writes(self, world: World, ghost: CutOff, view: FanOutView) -> Steps:
        transaction = world.transactions[Writer.CUT_FANOUT]
        if transaction is not None:
            if transaction.phase is Phase.ONE_BY_ONE:
                yield from self._fanout.write_one(world, Writer.CUT_FANOUT, transaction)
            return
        if not (view.has_changed or view.pending):
            return
        owner, written = self._cast.act(ghost.owner, "take")
        text = f"cut off, {self._fanout.told(written)}"
        after = world._replace(cut_fanout=replace(ghost, owner=owner))
        if self._parts.visibility is not Visibility.TRANSACTION:
            queued = Transaction(Phase.ONE_BY_ONE, None, 0, written.records)
            text = f"{text}, record by record"
            yield Step((text,), after.with_transaction(Writer.CUT_FANOUT, queued))
        elif self._parts.generation_is_checked:
            yield self._hides(after, Writer.CUT_FANOUT, written.records, text)
        else:
            visible, violation = self._fanout.visible(after, written)
            step = self._acts_as_fanout(visible, text, "committed")
            yield step._replace(violation=violation or step.violation)

    def _hides(self, world: World, writer: Writer, records: Records, text: str) -> Step:
        """What will be refused. Tickets are left out: of an aborted one a gap is left, and no end
        of gaps would come of it."""
        logs = (
            (*world.lanes, *hidden(records[Log.LANES], writer)),
            (*world.backlog, *hidden(records[Log.BACKLOG], writer)),
            *world.tiers,
        )
        after = world._replace(logs=logs)
        return Step((text,), after.with_transaction(writer, Transaction(Phase.LEFT_OPEN, None)))

    def _of_retrier(self, world: World, ghost: CutOff) -> Steps:
        view: RetrierView = self._cast.view(ghost.owner)
        yield from self._retrier_writes(world, view)
        if self._stage.bounds.idle_zombies:
            return
        if ghost.read < stable(world.backlog):
            number = world.backlog[ghost.read]
            ahead = world._replace(cut_retrier=replace(ghost, read=ghost.read + 1))
            text = f"{_RETRIER} reads {self._stage.texts((number,))}"
            yield self._acts_as_retrier(ahead, text, "read", number)
        for tier, log in enumerate(world.tiers):
            at = ghost.read_tiers[tier]
            if at < stable(log):
                tiers = (*ghost.read_tiers[:tier], at + 1, *ghost.read_tiers[tier + 1 :])
                ahead = world._replace(cut_retrier=replace(ghost, read_tiers=tiers))
                if log[at] == GAP:
                    yield Step((f"{_RETRIER} passes a gap",), ahead)
                    continue
                text = f"{_RETRIER} reads {self._stage.texts((log[at],))}"
                yield self._acts_as_retrier(ahead, text, "read_ticket", tier, at, log[at])
        yield self._acts_as_retrier(world, f"{_RETRIER} begins what is due", "start")
        for delivery in view.running:
            name = self._stage.name(delivery)
            heard = _delivered(world, delivery)
            arguments = (delivery, DELIVERED, LATER_MS)
            yield self._acts_as_retrier(heard, f"{_RETRIER} delivers {name}", "ended", *arguments)
            if world.failures:
                less = world._replace(failures=world.failures - 1)
                text = f"an attempt of {name} by {_RETRIER} fails"
                yield self._acts_as_retrier(less, text, "ended", delivery, FAILED, NOW_MS)

    def _acts_as_retrier(self, world: World, text: str, method: str, *arguments: object) -> Step:
        assert world.cut_retrier is not None
        owner, _ = self._cast.act(world.cut_retrier.owner, method, *arguments)
        return Step((text,), world._replace(cut_retrier=replace(world.cut_retrier, owner=owner)))

    def _retrier_writes(self, world: World, view: RetrierView) -> Steps:
        is_refused = (
            self._parts.generation_is_checked
            and self._parts.retrier_visibility is Visibility.TRANSACTION
        )
        if is_refused:
            if view.outbox and world.transactions[Writer.CUT_RETRIER] is None:
                text = f"{_RETRIER} writes what it has"
                yield self._hides(world, Writer.CUT_RETRIER, by_log(view.outbox), text)
            return
        for log in Log:
            at = next((at for at, (other, _) in enumerate(view.outbox) if other is log), None)
            if at is None:
                continue
            _, number = view.outbox[at]
            offset = offsets_of(world, view.outbox[at : at + 1])[0]
            after, violation = self._stage.append(world, log, number)
            text = f"{_RETRIER} writes {self._stage.texts((number,))}"
            step = self._acts_as_retrier(after, text, "acked_alone", at, offset)
            yield step._replace(violation=violation)


def _delivered(world: World, delivery: int) -> World:
    bit = 1 << delivery
    return world._replace(known=world.known | bit, belated=world.belated | bit)
