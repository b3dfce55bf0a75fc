"""`hooklane audit`: what operators did, and why."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.audit_view import COLUMNS, FIELDS, AuditPicker, AuditSelection
from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import (
    LimitOption,
    Newest,
    SinceOption,
    SubscriptionOption,
    UntilOption,
    window,
)
from hooklane.ops.output import OutputFormat, OutputOption, Row, follow_rows, notice, print_rows
from hooklane.runtime.errors import UsageError

if TYPE_CHECKING:
    from hooklane.ops.log_reader import LogReader, Spans

app = single_command()

_SKEW_MS = 15 * 60_000
"""A record's time is that of the operator's own clock."""


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
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415

    settings = settings_of(context)
    with open_reader(settings) as reader:
        spans = _spans(reader, settings.topic_names.audit, selection)
        if follow:
            _follow(reader, spans, selection, limit, output)
        else:
            print_rows(_listed(reader, spans, selection, limit), COLUMNS, output)


def _spans(reader: "LogReader", topic: str, selection: AuditSelection) -> "Spans":
    since_ms, until_ms = selection.window.since_ms, selection.window.until_ms
    return reader.between(
        reader.partitions(topic),
        None if since_ms is None else since_ms - _SKEW_MS,
        None if until_ms is None else until_ms + _SKEW_MS,
    )


def _listed(
    reader: "LogReader", spans: "Spans", selection: AuditSelection, limit: int
) -> list[Row]:
    """The newest so many, oldest first."""
    picker, found = AuditPicker(selection), Newest[int, Row](limit)
    for line in reader.read(spans):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            found.add(line.offset, *picked)
    rows = found.oldest_first()
    if found.left_out:
        notice(f"Only the newest {limit} are shown: --limit N shows more.")
    if picker.unread:
        notice(f"{picker.unread} records cannot be read by this version and may be meant too.")
    return rows


def _follow(
    reader: "LogReader",
    spans: "Spans",
    selection: AuditSelection,
    limit: int,
    output: OutputFormat,
) -> None:
    """What --since asks for, then what comes."""
    show = follow_rows(COLUMNS, output)
    if selection.window.since_ms is not None:
        for row in _listed(reader, spans, selection, limit):
            show(row)
    picker = AuditPicker(selection)
    for line in reader.follow({one: span.end for one, span in spans.items()}):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            show(picked[1])
