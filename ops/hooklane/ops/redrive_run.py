"""One redrive from its count to its end, whoever looks on: the command line, or a page."""

from collections import Counter
from dataclasses import dataclass, replace

from hooklane.ops.audit_action import Action
from hooklane.ops.dead_letters_desk import LettersDesk
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.redrive_plan import Left, Redrive, RedrivePlan
from hooklane.ops.run_desk import BATCH, gone_on_with
from hooklane.ops.run_progress import Advance, Pacer, Stop
from hooklane.ops.runs import window_of
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_values import RateLimit


@dataclass(frozen=True, slots=True)
class PlannedRedrive:
    """A run that may begin, or go on. The action's id is the run's."""

    action: Action
    deciding: Redrive
    plan: RedrivePlan
    goes_on: bool

    @property
    def matched(self) -> int:
        """Letters that are meant, also those that are left."""
        return len(self.plan.tasks) + self.plan.left.total()


@dataclass(frozen=True, slots=True)
class DoneRedrive:
    """What came of it in this process. `left`: what turned out while it ran."""

    state: AuditState
    redriven: int
    left: Counter[Left]
    said: str


def planned_redrive(
    desk: LettersDesk, action: Action, selection: LetterSelection
) -> PlannedRedrive:
    """Which run it is, and what it will write."""
    earlier = desk.runs.runs().unfinished(action.name, action.selection)
    action = gone_on_with(action, earlier)
    # What was meant by `2h` then, and not by `2h` now.
    index = desk.index(replace(selection, window=window_of(action.selection)))
    deciding = Redrive(action.id, desk.book(), again="again" in action.selection)
    return PlannedRedrive(action, deciding, deciding.plan(index), earlier is not None)


def nothing_more(desk: LettersDesk, planned: PlannedRedrive) -> None:
    """A run that was cut off, and had written all before, is done."""
    if planned.goes_on:
        desk.runs.tell(desk.writer, planned.action, AuditState.DONE, 0, "nothing was left to do")


def carry_out(
    desk: LettersDesk,
    planned: PlannedRedrive,
    limit: RateLimit | None,
    stop: Stop,
    advance: Advance,
) -> DoneRedrive:
    """Write it, with the audit's records before and behind. The desk's writer is open.

    Raises:
        BrokerError: what the last batch would have written may not be there.
    """
    action, plan = planned.action, planned.plan
    count = len(plan.tasks)
    desk.runs.tell(desk.writer, action, AuditState.BEGUN, count, f"{count} are to be redriven")
    progress = desk.redrive(plan, planned.deciding, action, Pacer(limit, BATCH), stop, advance)
    is_all = progress.written + progress.left.total() == count
    state = AuditState.DONE if is_all else AuditState.INTERRUPTED
    said = f"{progress.written} of {count} were redriven"
    desk.runs.tell(desk.writer, action, state, progress.written, said)
    plan.left.update(progress.left)
    return DoneRedrive(state, progress.written, progress.left, said)
