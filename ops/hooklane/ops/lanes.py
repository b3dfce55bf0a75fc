"""`hooklane lanes`: whose deliveries wait, and why; try again, or give one up."""

import time
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from hooklane.ops.audit_action import Action, ByOption, WhyOption
from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.lanes_selection import LaneSelection
from hooklane.ops.log_selection import (
    KeyOption,
    SubscriptionOption,
    TenantOption,
    typed_keys,
)
from hooklane.ops.output import (
    Column,
    OutputFormat,
    OutputOption,
    Row,
    YesOption,
    confirm,
    notice,
    print_record,
    print_rows,
)
from hooklane.runtime.errors import UsageError
from hooklane.schemas.topics import Delay

if TYPE_CHECKING:
    from hooklane.ops.lanes_desk import LaneDesk
    from hooklane.runtime.settings import Settings

LIST_ATTEMPTS: Final = 10_000
"""How many of the newest attempts in each partition `list` looks through for last errors."""
SHOW_ATTEMPTS: Final = 500_000
"""The same for one lane, in its one partition."""

app = command_group(
    "Whose deliveries wait, and why; try again, or give one up.", example="hooklane lanes list"
)

LaneArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="LANE", show_default=False, help="Its id, or 8 digits or more.")
]
HaltedOption: TypeAlias = Annotated[
    bool, typer.Option("--halted", help="Only lanes that wait for an operator.")
]
DepthOption: TypeAlias = Annotated[
    int, typer.Option("--depth", metavar="N", min=1, help="Only lanes with N tasks or more.")
]
ErrorOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--error", metavar="TEXT", help="Only lanes with this in their last error."),
]
DueOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--due-within", metavar="TIME", help="Only lanes that are tried within 10m, 2h."),
]

_FIELDS = (
    "lane, subscription, subscription_state (active, paused, disabled, deleted, bad), tenant, run "
    "(of a redrive or replay), key (hex:... where it is no text), topic and partition of the "
    "events, depth (tasks that wait), first_sequence, redirected_at, attempts, halted, due, next "
    "(a time, or `at once`, `halted`, `paused`), last_error, last_status, last_attempt_at, "
    "unreadable (why this version cannot read the first task)"
)
RETRIED = (Column("lane"), Column("subscription"), Column("sequence"), Column("attempts"))


@app.command(
    "list",
    help=explain(
        "List the lanes of which deliveries wait in the backlog.",
        more="The last error is looked for among the newest "
        f"{LIST_ATTEMPTS:,} attempts of each partition; "
        "`lanes show` looks further. A table shows 12 digits of a lane, enough to name it.\n\n"
        f"JSON fields: {_FIELDS}.",
        example="hooklane lanes list\n"
        "hooklane lanes list --subscription billing-invoices --halted --output json\n"
        "hooklane lanes list --depth 100 --error 'certificate' --due-within 10m",
    ),
)
def list_lanes(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    halted: HaltedOption = False,
    depth: DepthOption = 1,
    error: ErrorOption = None,
    due_within: DueOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    from hooklane.ops.lanes_view import (  # noqa: PLC0415 - slow to import
        columns_for,
        lane_row,
        table_row,
    )

    selection = _selection(subscription, key, halted, depth, error, due_within)
    with _desk(context) as desk:
        lanes = desk.selected(desk.of_tenant(selection, tenant), LIST_ATTEMPTS)
        book = desk.book()
    now_ms = _now_ms()
    rows = [lane_row(lane, book, now_ms) for lane in lanes]
    if output is OutputFormat.TABLE:
        rows = [table_row(row) for row in rows]
    print_rows(rows, columns_for(rows), output)


@app.command(
    "show",
    help=explain(
        "Show one lane: its tasks, its open ticket, its last error.",
        more="A whole id costs one partition to read, the beginning of one costs all. The last "
        f"error is looked for among the newest {SHOW_ATTEMPTS:,} attempts of its partition.\n\n"
        "JSON fields: those of `lanes list`; ticket (tier, attempts, nudge, due, halted), null "
        "where the first task's own values hold; tasks (sequence, event_id, type, time, "
        "attempts, unreadable), the first --tasks of them.",
        example="hooklane lanes show 3f2a9c01",
    ),
)
def show(
    context: typer.Context,
    lane: LaneArgument,
    tasks: Annotated[
        int, typer.Option("--tasks", metavar="N", min=1, help="Show the first N tasks.")
    ] = 100,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    from hooklane.ops.lanes_view import (  # noqa: PLC0415 - slow to import
        TASK_COLUMNS,
        lane_row,
        task_rows,
        ticket_row,
    )

    with _desk(context) as desk:
        found = desk.shown(lane, tasks)
        desk.finder.add_last_attempts([found], SHOW_ATTEMPTS)
        book = desk.book()
    row: Row = {**lane_row(found, book, _now_ms()), "ticket": ticket_row(found)}
    rows = task_rows(found)
    if output is OutputFormat.JSON:
        print_record({**row, "tasks": rows}, output)
        return
    print_record(row, output)
    print_rows(rows, (*TASK_COLUMNS,), output)
    if len(rows) < found.depth:
        notice(f"{found.depth - len(rows)} later tasks are left out: --tasks N shows more.")


@app.command(
    "retry",
    help=explain(
        "Let the first task of a lane be tried now, also of a halted one.",
        more="Name one lane, or select lanes by --subscription or --tenant. The attempts made stay "
        "counted: if it fails again, the schedule goes on where it was, or it is halted again. A "
        "paused subscription's lanes wait on until it is resumed.\n\n"
        "JSON fields: lane, subscription, key, sequence, attempts, nudge.",
        example="hooklane lanes retry 3f2a9c01\n"
        "hooklane lanes retry --subscription billing-invoices --halted\n"
        "hooklane lanes retry -s billing-invoices --error timeout --why 'it is back'",
        exits={0: "done", 1: "failed, or nothing waits there", 2: "wrong usage or setting"},
    ),
)
def retry(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    lane: Annotated[
        str | None,
        typer.Argument(metavar="LANE", show_default=False, help="Its id, or 8 digits or more."),
    ] = None,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    halted: HaltedOption = False,
    depth: DepthOption = 1,
    error: ErrorOption = None,
    due_within: DueOption = None,
    by: ByOption = None,
    why: WhyOption = "",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    if (lane is None) == (subscription is None and tenant is None):
        raise UsageError(
            "Name a LANE, or select lanes by --subscription or --tenant: one of the two."
        )
    selection = _selection(subscription, key, halted, depth, error, due_within)
    if lane is not None and selection != LaneSelection():
        raise UsageError(
            "--key, --halted, --depth, --error and --due-within select among the lanes of a "
            "--subscription or a --tenant: leave out LANE."
        )
    asked = {
        "lane": lane,
        "subscription": subscription,
        "tenant": tenant,
        "key": key,
        "halted": "yes" if halted else None,
        "depth": str(depth) if depth > 1 else None,
        "error": error,
        "due_within": due_within,
    }
    action = Action.of(context, "lanes retry", by, why, subscription=subscription, selection=asked)
    with _desk(context) as desk:
        selection = desk.of_tenant(selection, tenant)
        lanes = [desk.shown(lane, 1)] if lane is not None else desk.selected(selection, 0)
        rows = desk.retry(lanes, action, _now_ms())
    print_rows(rows, RETRIED, output)
    count = len(rows)
    notice(f"{count} lane{'' if count == 1 else 's'} may be tried now.")


@app.command(
    "skip",
    help=explain(
        "Give up the first task of a lane, so that the next one goes.",
        more="It becomes a dead letter with the reason `skipped`; only when Kafka has that, the "
        "task is resolved. --sequence names another task of the lane.\n\n"
        "JSON fields: lane, sequence, subscription, key, event_id, dead_letter, left (tasks that "
        "still wait).",
        example="hooklane lanes skip 3f2a9c01 --yes\nhooklane lanes skip 3f2a9c01 --sequence 4711",
        exits={0: "done", 1: "failed, or nothing waits there", 2: "wrong usage or setting"},
    ),
)
def skip(
    context: typer.Context,
    lane: LaneArgument,
    sequence: Annotated[
        int | None,
        typer.Option("--sequence", metavar="N", min=0, help="This task instead of the first."),
    ] = None,
    yes: YesOption = False,
    by: ByOption = None,
    why: WhyOption = "",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    with _desk(context) as desk:
        chosen = desk.chosen(lane, sequence, SHOW_ATTEMPTS)
        confirm(f"Give up {chosen.described()}?", yes=yes)
        action = Action.of(
            context,
            "lanes skip",
            by,
            why,
            subscription=chosen.subscription,
            selection={"task": chosen.id},
        )
        row = desk.skip(chosen, action, _now_ms())
    print_record(row, output)


def _selection(
    subscription: str | None,
    key: str | None,
    halted: bool,
    depth: int,
    error: str | None,
    due_within: str | None,
) -> "LaneSelection":
    due_by_ms = None
    if due_within is not None:
        try:
            due_by_ms = _now_ms() + round(Delay.parse(due_within).seconds * 1000)
        except ValueError as wrong:
            raise UsageError(f"--due-within {wrong}.") from None
    return LaneSelection(subscription, typed_keys(key), halted, depth, error, due_by_ms)


def _desk(context: typer.Context) -> "LaneDesk":
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.lanes_desk import LaneDesk  # noqa: PLC0415

    settings: Settings = settings_of(context)
    return LaneDesk(settings)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
