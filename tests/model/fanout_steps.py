"""What can happen next in and around the fan-out."""

from tests.model.fanout_part import DELIVERED, FAILED, REFUSED, FanOut, Written
from tests.model.scene import Log, Visibility
from tests.model.steps import Stage, Step, Steps
from tests.model.world import (
    Compaction,
    Numbers,
    Phase,
    Transaction,
    World,
    aborted,
    committed,
    is_stable,
    stable,
)

_EMPTY: Numbers = ()


class FanOutSteps:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._bounds = stage.bounds
        self._cast = stage.cast
        self._name = stage.name

    def of(self, world: World) -> Steps:
        if world.fanout < 0:
            yield from self._without_owner(world)
            return
        view = self._cast.view(world.fanout)
        if view.position < len(self._stage.scene.events):
            yield self._act(world, f"fan-out reads event {view.position}", "admit")
        if self._bounds.fenced:
            yield from self._advance(world)
        for delivery in view.running:
            yield from self._ends(world, delivery)
        yield from self._tail(world)
        yield from self._hears(world)
        yield from self._commit(world)
        if world.fanout_crashes:
            queued = world.transaction is not None and world.transaction.phase is Phase.ONE_BY_ONE
            left = None if queued else world.transaction
            yield Step(("fan-out dies",), _died(world)._replace(transaction=left))

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
        transaction = world.transaction
        if transaction is not None:
            if transaction.phase is Phase.ONE_BY_ONE:
                yield from self._write_one(world, transaction)
            return
        view = self._cast.view(world.fanout)
        if not (view.has_changed or view.pending):
            return
        fanout, written = self._cast.act(world.fanout, "take")
        text = self._stage.texts(sum(written.records, ())) or "nothing"
        text = f"fan-out writes {text}; offset {written.offset}"
        after = world._replace(fanout=fanout)
        if self._stage.parts.visibility is not Visibility.TRANSACTION:
            queued = Transaction(Phase.ONE_BY_ONE, written.offset, (), written.records)
            yield Step((f"{text}, record by record",), after._replace(transaction=queued))
            return
        yield self._act(self._committed(after, written), f"{text}", "committed")
        if world.aborts:
            yield Step((text, "it is aborted"), after._replace(aborts=world.aborts - 1))
        if world.fanout_crashes:
            yield from self._dies_within(after, written, text)

    def _committed(self, world: World, written: Written) -> World:
        lanes, backlog, tier, letters = written.records
        return world._replace(
            committed=written.offset,
            lanes=world.lanes + lanes,
            backlog=world.backlog + backlog,
            tier=world.tier + tier,
            lettered=world.lettered | self._letters(letters),
        )

    def _dies_within(self, world: World, written: Written, text: str) -> Steps:
        lanes, backlog, tier, letters = written.records
        after = _died(world)._replace(
            transaction=Transaction(Phase.LEFT_OPEN, written.offset, letters),
            lanes=world.lanes + _hidden(lanes),
            backlog=world.backlog + _hidden(backlog),
            tier=world.tier + _hidden(tier),
        )
        yield Step((text, "fan-out dies, the transaction is left open"), after)
        decided = Transaction(Phase.DECIDED, written.offset, letters)
        # Nobody reads dead letters here: what is decided is as good as written.
        lettered = world.lettered | self._letters(letters)
        after = after._replace(transaction=decided, lettered=lettered)
        yield Step((text, "fan-out dies, the transaction is decided to commit"), after)

    def _write_one(self, world: World, transaction: Transaction) -> Steps:
        """A mutant's share: each record by itself, the offset apart from them."""
        if not any(transaction.queued) and transaction.offset is None:
            after = world._replace(transaction=None)
            yield self._act(after, "fan-out has written its share", "committed")
        waits = any(transaction.queued) and self._stage.parts.visibility is Visibility.OFFSET_LAST
        if transaction.offset is not None and not waits:
            after = world._replace(
                committed=transaction.offset, transaction=transaction._replace(offset=None)
            )
            yield Step((f"offset {transaction.offset} is committed",), after)
        for log in Log:
            if transaction.queued[log.value]:
                yield self._write_first(world, transaction, log)

    def _write_first(self, world: World, transaction: Transaction, log: Log) -> Step:
        number, *others = transaction.queued[log.value]
        queued = list(transaction.queued)
        queued[log.value] = tuple(others)
        after = world._replace(transaction=transaction._replace(queued=tuple(queued)))
        text = (f"fan-out's {self._stage.texts((number,))} is written",)
        return Step(text, self.append(after, log, number))

    def append(self, world: World, log: Log, number: int) -> World:
        """A record outside of any transaction."""
        match log:
            case Log.LANES:
                return world._replace(lanes=(*world.lanes, number))
            case Log.BACKLOG:
                return world._replace(backlog=(*world.backlog, number))
            case Log.TIER:
                return world._replace(tier=(*world.tier, number))
            case Log.LETTERS:
                return world._replace(lettered=world.lettered | self._letters((number,)))

    def _without_owner(self, world: World) -> Steps:
        """The coordinator ends what was left, and a new owner restores."""
        transaction = world.transaction
        yield from self._hears(world)
        known = not self._stage.parts.fanout_restores_to_high_watermark
        if (known or is_stable(world.lanes)) and _offset_is_stable(transaction):
            seen = world.lanes[: stable(world.lanes)]
            for how in Compaction:
                lines = self._stage.cleaner.compacted(seen, how)
                if how is Compaction.NONE or lines != seen:
                    yield self._restore(world, lines, how, len(seen))

    def _restore(self, world: World, lines: Numbers, how: Compaction, tail: int) -> Step:
        fanout = self._new(world.committed, lines)
        text = f"a new fan-out restores: offset {world.committed}, lanes {how.value}"
        return Step((text,), world._replace(fanout=fanout, tail=tail))

    def _new(self, offset: int, lines: Numbers) -> int:
        def make() -> FanOut:
            return FanOut(self._stage.scene, offset, lines)

        return self._cast.made("fanout", make, offset, lines)

    def first(self) -> int:
        """The fan-out of an empty Kafka."""
        return self._new(0, _EMPTY)

    def _hears(self, world: World) -> Steps:
        """What a dead owner's transaction comes to."""
        transaction = world.transaction
        if transaction is None:
            return
        if transaction.phase is Phase.LEFT_OPEN:
            yield Step(("the coordinator aborts it",), _invisible(world))
        elif transaction.phase is Phase.DECIDED:
            yield from self._learn(world, transaction)

    def _learn(self, world: World, transaction: Transaction) -> Steps:
        """The offsets, the lanes and the backlog hear of a commit apart from each other."""
        if transaction.offset is not None:
            after = world._replace(
                committed=transaction.offset, transaction=transaction._replace(offset=None)
            )
            yield Step(("the group hears of the commit",), _ended(after))
        if not is_stable(world.lanes):
            after = world._replace(lanes=committed(world.lanes))
            yield Step(("the lanes topic hears of the commit",), _ended(after))
        if transaction.letters or not (is_stable(world.backlog) and is_stable(world.tier)):
            after = world._replace(
                backlog=committed(world.backlog),
                tier=committed(world.tier),
                lettered=world.lettered | self._letters(transaction.letters),
                transaction=transaction._replace(letters=()),
            )
            yield Step(("backlog, tier and dead letters hear of the commit",), _ended(after))

    def _letters(self, numbers: Numbers) -> int:
        return sum({1 << self._stage.catalogue.about(number).delivery for number in numbers})


def _hidden(numbers: Numbers) -> Numbers:
    return tuple([-number for number in numbers])


def _died(world: World) -> World:
    return world._replace(fanout=-1, tail=0, fanout_crashes=world.fanout_crashes - 1)


def _invisible(world: World) -> World:
    return world._replace(
        lanes=aborted(world.lanes),
        backlog=aborted(world.backlog),
        tier=aborted(world.tier),
        transaction=None,
    )


def _offset_is_stable(transaction: Transaction | None) -> bool:
    """Whether a fetch of the committed offset is answered: not while one is pending."""
    return transaction is None or transaction.offset is None


def _ended(world: World) -> World:
    """Without its transaction, once everybody has heard of it."""
    transaction = world.transaction
    assert transaction is not None
    waits = transaction.offset is not None or transaction.letters
    logs = (world.lanes, world.backlog, world.tier)
    return world if waits or not all(map(is_stable, logs)) else world._replace(transaction=None)
