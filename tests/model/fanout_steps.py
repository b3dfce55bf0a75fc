"""What can happen next in and around the fan-out."""

from tests.model.fanout_part import DELIVERED, FAILED, REFUSED, FanOut, Written
from tests.model.scene import Log, Visibility
from tests.model.steps import Stage, Step, Steps
from tests.model.transaction_steps import is_answered
from tests.model.world import (
    CutOff,
    Numbers,
    Phase,
    Transaction,
    World,
    Writer,
    hidden,
    is_stable,
    stable,
)

_EMPTY: Numbers = ()


class FanOutSteps:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bounds, self._parts = stage.bounds, stage.parts
        self._cast = stage.cast
        self._name = stage.name

    def of(self, world: World) -> Steps:
        yield from self._loose(world)
        if self._bounds.again and not world.era:
            yield from self._made_again(world)
        if world.fanout < 0:
            yield from self._restores(world)
            return
        view = self._cast.view(world.fanout)
        if view.position < len(self._stage.scene.eras[world.era]):
            yield self._act(world, f"fan-out reads event {view.position}", "admit")
        if self._bounds.fenced:
            yield from self._advance(world)
        for delivery in view.running:
            yield from self._ends(world, delivery)
        yield from self._tail(world)
        yield from self._commit(world)
        yield from self._goes(world)

    def _act(self, world: World, text: str, method: str, *arguments: object) -> Step:
        fanout, starts = self._cast.act(world.fanout, method, *arguments)
        step = self._stage.starting(text, world._replace(fanout=fanout), starts)
        for delivery, _ in starts:
            violation = step.violation or self._stage.promises.started_by_fanout(world, delivery)
            step = step._replace(violation=violation)
        return step

    def _advance(self, world: World) -> Steps:
        step = self._act(world, "fan-out, its fence open, carries out its schedule", "step")
        if step.after.fanout != world.fanout:
            yield step

    def _ends(self, world: World, delivery: int) -> Steps:
        """An attempt of the fan-out ends, in every way that there is."""
        name, bit = self._name(delivery), 1 << delivery
        promises = self._stage.promises
        heard, violation = promises.accepted(world, delivery)
        heard = heard._replace(known=world.known | bit)
        step = self._act(heard, f"fan-out delivers {name}", "ended", delivery, DELIVERED)
        yield step._replace(violation=violation or step.violation)
        if world.failures:
            less = world._replace(failures=world.failures - 1)
            yield self._act(less, f"fan-out's attempt of {name} fails", "ended", delivery, FAILED)
            lost, violation = promises.accepted(less, delivery)
            text = f"fan-out's attempt of {name} is accepted, but the response is lost"
            step = self._act(lost, text, "ended", delivery, FAILED)
            yield step._replace(violation=violation or step.violation)
        if world.refusals:
            less = world._replace(refusals=world.refusals - 1)
            text = f"fan-out's attempt of {name} is refused for good"
            yield self._act(less, text, "ended", delivery, REFUSED)

    def passed_over(self, world: World) -> World:
        """With the tail at the next release."""
        tail, end = world.tail, stable(world.lanes)
        while world.fanout >= 0 and tail < end and not self._is_release(world.lanes[tail]):
            tail += 1
        return world if tail == world.tail else world._replace(tail=tail)

    def _is_release(self, number: int) -> bool:
        about = self._stage.catalogue.about(number)
        return about.key.startswith(b"released:") and not about.tombstone

    def _tail(self, world: World) -> Steps:
        if world.tail >= stable(world.lanes):
            return
        number = world.lanes[world.tail]
        record = self._stage.catalogue.record(number)
        text = f"fan-out's tail reads {self._stage.texts((number,))}"
        yield self._act(world._replace(tail=world.tail + 1), text, "released", *record)

    def _commit(self, world: World) -> Steps:
        """A share is written and its transaction ends: well, or by an abort, or by a crash."""
        transaction = world.transactions[Writer.FANOUT]
        if transaction is not None:
            if transaction.phase is Phase.ONE_BY_ONE:
                yield from self.write_one(world, Writer.FANOUT, transaction)
            return
        view = self._cast.view(world.fanout)
        if not (view.has_changed or view.pending):
            return
        fanout, written = self._cast.act(world.fanout, "take")
        text = self.told(written)
        after = world._replace(fanout=fanout)
        if self._parts.visibility in (Visibility.ONE_BY_ONE, Visibility.OFFSET_LAST):
            queued = Transaction(Phase.ONE_BY_ONE, written.offset, 0, written.records)
            after = after.with_transaction(Writer.FANOUT, queued)
            yield Step((f"{text}, record by record",), after)
            return
        after, written = self.taken_apart(after, written)
        visible, violation = self.visible(after, written)
        step = self._act(visible, text, "committed")
        yield step._replace(violation=violation or step.violation)
        if world.aborts:
            yield Step((text, "it is aborted"), after._replace(aborts=world.aborts - 1))
        if world.fanout_crashes:
            yield from self._dies_within(after, written, text)

    def told(self, written: Written) -> str:
        """A share in words."""
        texts = self._stage.texts(sum(written.records, ())) or "nothing"
        return f"fan-out writes {texts}; offset {written.offset}"

    def visible(self, world: World, written: Written) -> tuple[World, str | None]:
        """With the share committed."""
        after, violation = self._stage.append_all(world, written.records)
        return after._replace(committed=written.offset), violation

    def taken_apart(self, world: World, written: Written) -> tuple[World, Written]:
        """A mutant's share is without the tombstones of its lanes, which go by themselves."""
        if not self._parts.lane_tombstones_apart:
            return world, written
        lanes, *others = written.records
        apart = [one for one in lanes if self._is_lane_tombstone(one)]
        left = tuple([one for one in lanes if one not in apart])
        world = world._replace(loose=(*world.loose, *apart))
        return world, written._replace(records=(left, *others))

    def _is_lane_tombstone(self, number: int) -> bool:
        about = self._stage.catalogue.about(number)
        return about.tombstone and about.text != "ledger"

    def _loose(self, world: World) -> Steps:
        if world.loose:
            number, *others = world.loose
            after, violation = self._stage.append(world, Log.LANES, number)
            text = f"{self._stage.texts((number,))} is written outside of its transaction"
            yield Step((text,), after._replace(loose=tuple(others)), violation)

    def _goes(self, world: World) -> Steps:
        """It dies, or it is cut off and does not know."""
        transaction = world.transactions[Writer.FANOUT]
        queued = transaction is not None and transaction.phase is Phase.ONE_BY_ONE
        left = world.with_transaction(Writer.FANOUT, None) if queued else world
        if world.fanout_crashes:
            yield Step(("fan-out dies",), _died(left))
        if world.fanout_zombies and world.cut_fanout is None:
            cut = left._replace(
                fanout=-1,
                tail=0,
                cut_fanout=CutOff(world.fanout, world.tail),
                fanout_zombies=world.fanout_zombies - 1,
            )
            if queued:
                cut = cut.with_transaction(Writer.CUT_FANOUT, transaction)
            yield Step(("fan-out is cut off, and goes on",), cut)

    def _dies_within(self, world: World, written: Written, text: str) -> Steps:
        """Whether the transaction commits or not, its owner does not hear it."""
        died = _died(world)
        if self._stage.merges_commits:
            after, violation = self.visible(died, written)
            yield Step((text, "fan-out dies before it hears"), after, violation)
            return
        letters = self._stage.letters(written.records)
        logs = tuple(
            (*log, *hidden(numbers, Writer.FANOUT))
            for log, numbers in zip(died.logs, written.records, strict=False)
        )
        after = died._replace(logs=logs)
        left = Transaction(Phase.LEFT_OPEN, written.offset)
        text_of = "fan-out dies, the transaction is"
        yield Step((text, f"{text_of} left open"), after.with_transaction(Writer.FANOUT, left))
        # Nobody reads dead letters here: what is decided is as good as written.
        after = after._replace(lettered=world.lettered | letters)
        decided = Transaction(Phase.DECIDED, written.offset, letters)
        after = after.with_transaction(Writer.FANOUT, decided)
        yield Step((text, f"{text_of} decided to commit"), after)
        offered = Transaction(Phase.OFFERED, written.offset, 0, written.records)
        after = died.with_transaction(Writer.FANOUT, offered)
        yield Step((text, "fan-out is gone, its offsets are with the group"), after)

    def write_one(self, world: World, writer: Writer, transaction: Transaction) -> Steps:
        """A mutant's share: each record by itself, the offset apart from them."""
        is_owner = writer is Writer.FANOUT
        offset = transaction.offset if is_owner else None
        if not any(transaction.queued) and offset is None:
            after = world.with_transaction(writer, None)
            if is_owner:
                yield self._act(after, "fan-out has written its share", "committed")
            else:
                yield Step(("the fan-out that was cut off has written its share",), after)
        late = any(transaction.queued) and self._parts.visibility is Visibility.OFFSET_LAST
        if offset is not None and not late:
            after = world.with_transaction(writer, transaction._replace(offset=None))
            yield Step((f"offset {offset} is committed",), after._replace(committed=offset))
        for log in Log:
            if transaction.queued[log]:
                number, *others = transaction.queued[log]
                queued = list(transaction.queued)
                queued[log] = tuple(others)
                left = transaction._replace(queued=tuple(queued))
                after, violation = self._stage.append(world, log, number)
                text = f"fan-out's {self._stage.texts((number,))} is written"
                yield Step((text,), after.with_transaction(writer, left), violation)

    def _made_again(self, world: World) -> Steps:
        """The event topic is deleted and made again: what nobody had taken has gone with it."""
        if any(world.transactions) or world.loose:
            return
        void = self._stage.promises.not_settled(world) & ~(world.known | world.lettered)
        after = world._replace(fanout=-1, tail=0, committed=0, era=1, void=void)
        yield Step(("the event topic is deleted and made again",), after)

    def _restores(self, world: World) -> Steps:
        """A new owner."""
        answered = is_answered(world, Writer.FANOUT) or not self._parts.waits_for_predecessor
        known = not self._parts.fanout_restores_to_high_watermark
        if not answered or not (known or is_stable(world.lanes)):
            return
        seen = world.lanes[: stable(world.lanes)]
        for found in self._stage.cleaner.compactions(seen):
            fanout = self._new(world.era, world.committed, found.log)
            text = f"a new fan-out restores: offset {world.committed}, lanes {found.how}"
            yield Step((text,), world._replace(fanout=fanout, tail=len(seen)))

    def _new(self, era: int, offset: int, lines: Numbers) -> int:
        def make() -> FanOut:
            return FanOut(self._stage.scene, era, offset, lines)

        return self._cast.made("fanout", make, era, offset, lines)

    def first(self) -> int:
        """The fan-out of an empty Kafka."""
        return self._new(0, 0, _EMPTY)


def _died(world: World) -> World:
    return world._replace(fanout=-1, tail=0, fanout_crashes=world.fanout_crashes - 1)
