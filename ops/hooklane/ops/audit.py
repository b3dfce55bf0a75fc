"""`hooklane audit`: what operators did, and why."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.audit_view import COLUMNS, FIELDS, AuditPicker, AuditSelection
from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import (
    LimitOption,
    SinceOption,
    SubscriptionOption,
    UntilOption,
    window,
)
from hooklane.ops.output import OutputFormat, OutputOption, follow_rows, print_rows
from hooklane.runtime.errors import UsageError

if TYPE_CHECKING:
    from hooklane.ops.log_reader import LogReader, Spans

app = single_command()


@app.command(
    "audit",
    help=explain(
        "List what operators did, oldest first: who, when, what, why.",
        more="Every command that acts writes here before it does: lanes retry and skip, "
        "dead-letters redrive and purge, replay, subscriptions apply, pause, resume, disable and "
        "delete. What takes long has a record when it begins, and one when it is done or "
        "interrupted. Kafka keeps a year unless the topic says otherwise.\n\n"
        f"JSON fields: {', '.join(FIELDS)}.",
        example="hooklane audit --since 12h\n"
        'hooklane audit --action "lanes skip" --by ada --output json\n'
        "hooklane audit --follow",
        exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "ended by Ctrl-C"},
    ),
)
def audit(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    subscription: SubscriptionOption = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Only what this one did.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", metavar="WORDS", help="Only this: `lanes skip`, or `lanes` for all of them."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--id", metavar="ID", help="Only this action; a run's id is one."),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 1000,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    if follow and until is not None:
        raise UsageError("--follow has no end: leave out --until, or leave out --follow.")
    times = window(since, until, datetime.now(UTC))
    selection = AuditSelection(times, by, action, subscription, only)
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.audit_read import audit_spans, listed_audit  # noqa: PLC0415
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415

    settings = settings_of(context)
    with open_reader(settings) as reader:
        spans = audit_spans(reader, settings.topic_names.audit, selection)
        if follow:
            _follow(reader, spans, selection, limit, output)
        else:
            print_rows(listed_audit(reader, spans, selection, limit), COLUMNS, output)


def _follow(
    reader: "LogReader",
    spans: "Spans",
    selection: AuditSelection,
    limit: int,
    output: OutputFormat,
) -> None:
    """What --since asks for, then what comes."""
    from hooklane.ops.audit_read import listed_audit  # noqa: PLC0415 - as above

    show = follow_rows(COLUMNS, output)
    if selection.window.since_ms is not None:
        for row in listed_audit(reader, spans, selection, limit):
            show(row)
    picker = AuditPicker(selection)
    for line in reader.follow({one: span.end for one, span in spans.items()}):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            show(picked[1])
