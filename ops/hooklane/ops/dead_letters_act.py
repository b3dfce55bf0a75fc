"""`hooklane dead-letters redrive` and `purge`: deliver dead letters again, or put them away."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from hooklane.ops.audit_action import Action, ByOption, WhyOption
from hooklane.ops.command import explain, settings_of
from hooklane.ops.dead_letters_view import LetterId, LetterSelection
from hooklane.ops.letter_state import LetterState, StateOption, is_wanted
from hooklane.ops.log_selection import (
    KeyOption,
    SinceOption,
    SubscriptionOption,
    TenantOption,
    UntilOption,
    Window,
    typed_keys,
    window,
)
from hooklane.ops.output import (
    OutputFormat,
    OutputOption,
    Row,
    YesOption,
    confirm,
    notice,
    print_record,
)
from hooklane.ops.run_options import (
    DryRunOption,
    NewIdsOption,
    RateOption,
    ended,
    rate_limit,
)
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records import DeadLetterReason
from hooklane.schemas.records_operator import AuditState

if TYPE_CHECKING:
    from hooklane.ops.dead_letters_desk import LettersDesk
    from hooklane.ops.letter_index import LetterFacts, LetterIndex
    from hooklane.ops.redrive_plan import Left
    from hooklane.ops.redrive_run import PlannedRedrive
    from hooklane.schemas.subscription_values import RateLimit

IdsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID", show_default=False, help="<lane>:<sequence>, or 8 digits or more."
    ),
]
ReasonOption: TypeAlias = Annotated[
    DeadLetterReason | None, typer.Option("--reason", help="Only those given up so.")
]
AllOption: TypeAlias = Annotated[
    bool, typer.Option("--all", help="Every one: needed where nothing is selected.")
]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What selects, as it was typed."""

    ids: Sequence[str] | None
    subscription: str | None
    tenant: str | None
    key: str | None
    since: str | None
    until: str | None
    reason: DeadLetterReason | None
    every: bool

    def selection(self) -> LetterSelection:
        """Which letters that are, now.

        Raises:
            UsageError: none, or not all, by what was typed.
        """
        times = window(self.since, self.until, datetime.now(UTC))
        named = tuple(map(LetterId.parse, self.ids or ()))
        keys = typed_keys(self.key)
        selection = LetterSelection(times, self.subscription, keys, self.reason, named)
        selects = selection != LetterSelection() or self.tenant is not None
        if not selects and not self.every:
            raise UsageError(
                "Say which: an ID, --subscription, --tenant, --key, --since, --until, --reason, or "
                "--all."
            )
        if self.every and selects:
            raise UsageError("--all means every one: leave it, or leave what selects.")
        return selection

    def named(self, times: Window) -> dict[str, str | None]:
        """For the audit, with the times made absolute."""
        return {
            "ids": " ".join(self.ids) if self.ids else None,
            "subscription": self.subscription,
            "tenant": self.tenant,
            "key": self.key,
            "since": self.since,
            "until": self.until,
            "reason": None if self.reason is None else self.reason.value,
            "all": _yes(self.every),
            "since_ms": None if times.since_ms is None else str(times.since_ms),
            "until_ms": None if times.until_ms is None else str(times.until_ms),
        }


REDRIVE_HELP = explain(
    "Deliver dead letters again.",
    more="They go into the backlog, in lanes of a run of their own: in their order within each "
    "key, not against what comes now; paused subscriptions let them wait. Requests keep their "
    "webhook-id and carry hooklane-replay: <run>. A letter that was redriven is not open any "
    "more, and no redrive takes it again unless told: so a command that was cut off, by "
    "whatever, is simply repeated, and goes on with its run. One redrive works at a time: "
    "another one takes over.\n\n"
    "JSON fields: run (null with --dry-run), state (counted, done, interrupted), matched, "
    "redriven (with --dry-run: what would be), left (why and how many).",
    example="hooklane dead-letters redrive --subscription billing-invoices --dry-run\n"
    "hooklane dead-letters redrive -s billing-invoices --since 2h --rate 50/s\n"
    "hooklane dead-letters redrive 3f2a9c01:4711 --why 'they mended it'",
    exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "interrupted"},
)
PURGE_HELP = explain(
    "Put dead letters away for good.",
    more="They are not listed nor redriven any more. Kafka deletes from the beginning of a "
    "partition only: what stands there is deleted at once if all of it is purged, the rest is "
    "hidden until then, or until its age (30 days).\n\n"
    "JSON fields: id, state (counted, done, interrupted), matched, purged, deleted (records of "
    "the topic, at most).",
    example="hooklane dead-letters purge --subscription billing-invoices --until 7d -n\n"
    "hooklane dead-letters purge --reason unreadable --yes --why 'a test'",
    exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "interrupted"},
)


def redrive(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    ids: IdsArgument = None,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reason: ReasonOption = None,
    every: AllOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were redriven before.")
    ] = False,
    new_ids: NewIdsOption = False,
    rate: RateOption = None,
    dry_run: DryRunOption = False,
    by: ByOption = None,
    why: WhyOption = "",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    typed = _Asked(ids, subscription, tenant, key, since, until, reason, every)
    selection = typed.selection()
    asked = typed.named(selection.window) | {"again": _yes(again), "new_ids": _yes(new_ids)}
    action = Action.of(
        context, "dead-letters redrive", by, why, subscription=subscription, selection=asked
    )
    limit = rate_limit(rate)
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.dead_letters_desk import LettersDesk  # noqa: PLC0415
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415
    from hooklane.ops.redrive_run import nothing_more, planned_redrive  # noqa: PLC0415
    from hooklane.ops.tenant import subscriptions_of  # noqa: PLC0415

    settings = settings_of(context)
    selection = replace(selection, among=subscriptions_of(tenant, settings))
    with open_reader(settings) as reader:
        desk = LettersDesk(settings, reader)
        if not dry_run:
            desk.writer.open()
        planned = planned_redrive(desk, action, selection)
        matched, count = planned.matched, len(planned.plan.tasks)
        notice(f"{matched:,} dead letters are meant, {count:,} of them to be redriven.")
        _tell_left(planned.plan.left)
        if dry_run or not planned.plan.tasks:
            if not dry_run:
                nothing_more(desk, planned)
            row = _redrive_row(planned, "counted" if dry_run else "done", len(planned.plan.tasks))
            print_record({**row, "run": None}, output)
            return
        _redrive(desk, planned, limit, output)


def _redrive(
    desk: "LettersDesk", planned: "PlannedRedrive", limit: "RateLimit | None", output: OutputFormat
) -> None:
    from hooklane.ops.redrive_run import carry_out  # noqa: PLC0415 - as above
    from hooklane.ops.run_progress import bar, stop_on_signals  # noqa: PLC0415

    if planned.goes_on:
        notice(f"Goes on with run {planned.action.id}, which was not done.")
    with stop_on_signals() as stop, bar("Redriving", len(planned.plan.tasks)) as advance:
        done = carry_out(desk, planned, limit, stop, advance)
    print_record(_redrive_row(planned, done.state.value, done.redriven), output)
    _tell_left(done.left)
    ended(done.state, f"{done.said}: the same command goes on.")


def purge(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    ids: IdsArgument = None,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reason: ReasonOption = None,
    wanted: StateOption = LetterState.OPEN,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    by: ByOption = None,
    why: WhyOption = "",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    typed = _Asked(ids, subscription, tenant, key, since, until, reason, every)
    selection = typed.selection()
    if wanted is LetterState.PURGED:
        raise UsageError("--state purged are put away already: take open, redriven or all.")
    asked = typed.named(selection.window) | {"state": wanted.value}
    action = Action.of(
        context, "dead-letters purge", by, why, subscription=subscription, selection=asked
    )
    from hooklane.ops.dead_letters_desk import LettersDesk  # noqa: PLC0415 - as above
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415
    from hooklane.ops.tenant import subscriptions_of  # noqa: PLC0415

    settings = settings_of(context)
    selection = replace(selection, among=subscriptions_of(tenant, settings))
    with open_reader(settings) as reader:
        desk = LettersDesk(settings, reader)
        desk.runs.check_audit()
        index = desk.whole_index(selection)
        letters = [
            one
            for one in index.letters()
            if is_wanted(mark := index.marks.get(one.name), wanted)
            and not is_wanted(mark, LetterState.PURGED)
        ]
        if dry_run or not letters:
            print_record(_purge_row(None, "counted", len(letters), 0, 0), output)
            return
        confirm(f"Purge {len(letters):,} dead letters for good?", yes=yes)
        _purge(desk, letters, index, action, output)


def _purge(
    desk: "LettersDesk",
    letters: "Sequence[LetterFacts]",
    index: "LetterIndex",
    action: Action,
    output: OutputFormat,
) -> None:
    from hooklane.ops.run_progress import bar, stop_on_signals  # noqa: PLC0415 - as above

    desk.writer.open()
    count = len(letters)
    with stop_on_signals() as stop, bar("Purging", count) as advance:
        begun = f"{count} are to be purged"
        desk.runs.tell(desk.writer, action, AuditState.BEGUN, count, begun)
        progress = desk.purge(letters, index, action, stop, advance)
        deleted = desk.delete_purged(index)
        state = AuditState.DONE if progress.written == count else AuditState.INTERRUPTED
        said = f"{progress.written} of {count} were purged"
        desk.runs.tell(desk.writer, action, state, progress.written, said)
    print_record(_purge_row(action.id, state.value, count, progress.written, deleted), output)
    ended(state, f"{said}: the same command takes the rest.")


def _yes(flag: bool) -> str | None:
    return "yes" if flag else None


def _redrive_row(planned: "PlannedRedrive", state: str, redriven: int) -> Row:
    left = planned.plan.left
    return {
        "run": planned.action.id,
        "state": state,
        "matched": planned.matched,
        "redriven": redriven,
        "left": {one.value: count for one, count in sorted(left.items()) if count},
    }


def _purge_row(run: str | None, state: str, matched: int, purged: int, deleted: int) -> Row:
    return {"id": run, "state": state, "matched": matched, "purged": purged, "deleted": deleted}


def _tell_left(left: "Counter[Left]") -> None:
    from hooklane.ops.redrive_plan import REMEDIES  # noqa: PLC0415 - as above

    for one, count in sorted(left.items()):
        if count:
            remedy = f" ({REMEDIES[one]})" if one in REMEDIES else ""
            notice(f"{count:,} are left, {one.value.replace('_', ' ')}{remedy}.")
