"""What can happen to a transaction whose owner has no more to say in it."""

from tests.model.scene import Log
from tests.model.steps import Stage, Step, Steps
from tests.model.world import (
    Phase,
    Transaction,
    World,
    Writer,
    aborted,
    committed,
    waits,
    with_gaps,
)

_NAMES = {
    Writer.FANOUT: "the dead fan-out",
    Writer.RETRIER: "the dead retrier",
    Writer.CUT_FANOUT: "the fan-out that was cut off",
    Writer.CUT_RETRIER: "the retrier that was cut off",
}


class TransactionSteps:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def of(self, world: World) -> Steps:
        for writer in Writer:
            transaction = world.transactions[writer]
            if transaction is None:
                continue
            match transaction.phase:
                case Phase.LEFT_OPEN:
                    text = f"the transaction of {_NAMES[writer]} is aborted"
                    yield Step((text,), _invisible(world, writer))
                case Phase.OFFERED:
                    yield self._commit_late(world, writer, transaction)
                    text = f"the transaction of {_NAMES[writer]} is aborted"
                    yield Step((text,), world.with_transaction(writer, None))
                case Phase.DECIDED:
                    yield from self._learn(world, writer, transaction)
                case Phase.ONE_BY_ONE:
                    pass

    def _commit_late(self, world: World, writer: Writer, transaction: Transaction) -> Step:
        """Its records arrive, and it is committed everywhere."""
        world, violation = self._stage.append_all(world, transaction.queued)
        if transaction.offset is not None and writer in (Writer.FANOUT, Writer.CUT_FANOUT):
            world = world._replace(committed=transaction.offset)
        text = f"the transaction of {_NAMES[writer]} is committed"
        return Step((text,), world.with_transaction(writer, None), violation)

    def _learn(self, world: World, writer: Writer, transaction: Transaction) -> Steps:
        """The offsets, the lanes and the backlog hear of a commit apart from each other."""
        if transaction.offset is not None:
            after = world.with_transaction(writer, transaction._replace(offset=None))
            if writer is Writer.FANOUT:
                after = after._replace(committed=transaction.offset)
            yield Step(("the group hears of the commit",), _ended(after, writer))
        if waits(world.lanes, writer):
            after = world.with_log(Log.LANES, committed(world.lanes, writer))
            yield Step(("the lanes topic hears of the commit",), _ended(after, writer))
        logs = (world.backlog, *world.tiers)
        if transaction.letters or any(waits(log, writer) for log in logs):
            logs = (world.lanes, *(committed(log, writer) for log in logs))
            after = world._replace(logs=logs, lettered=world.lettered | transaction.letters)
            after = after.with_transaction(writer, transaction._replace(letters=0))
            text = "backlog, tiers and dead letters hear of the commit"
            yield Step((text,), _ended(after, writer))


def _invisible(world: World, writer: Writer) -> World:
    lanes, backlog, *tiers = world.logs
    logs = (
        aborted(lanes, writer),
        aborted(backlog, writer),
        *(with_gaps(log, writer) for log in tiers),
    )
    return world._replace(logs=logs).with_transaction(writer, None)


def _ended(world: World, writer: Writer) -> World:
    """Without its transaction, once everybody has heard of it."""
    transaction = world.transactions[writer]
    assert transaction is not None
    if transaction.offset is not None or transaction.letters:
        return world
    if any(waits(log, writer) for log in world.logs):
        return world
    return world.with_transaction(writer, None)


def is_answered(world: World, writer: Writer) -> bool:
    """Whether a fetch of the committed offset is answered: not while one is pending."""
    transaction = world.transactions[writer]
    return transaction is None or transaction.offset is None
