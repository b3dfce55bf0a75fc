"""`hooklane attempts`: every HTTP try, and how it ended."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.attempts_view import (
    COLUMNS,
    FIELDS,
    AttemptPicker,
    AttemptSelection,
)
from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import (
    KeyOption,
    LimitOption,
    SinceOption,
    SubscriptionOption,
    TenantOption,
    UntilOption,
    typed_keys,
    window,
)
from hooklane.ops.output import OutputFormat, OutputOption, follow_rows, print_rows
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records import AttemptOutcome

if TYPE_CHECKING:
    from hooklane.ops.attempts_find import AttemptPlaces
    from hooklane.ops.log_reader import LogReader, Spans

app = single_command()


@app.command(
    "attempts",
    help=explain(
        "List attempts, oldest first: when, for whom, how it ended.",
        more="Without --since all that Kafka still has (7 days) is meant; of what is found the "
        "newest --limit are shown. --follow shows what comes, and what --since asks "
        "for before. Of a --key of one --subscription only the partitions of its lanes are read; "
        "the settings must name the event topics for that (HOOKLANE_FANOUT__TOPICS).\n\n"
        f"JSON fields: {', '.join(FIELDS)}. Bytes that are no text are in the field with _base64.",
        example="hooklane attempts --subscription billing-invoices --since 2h\n"
        "hooklane attempts --event 4f1c --output json\n"
        "hooklane attempts --outcome failed --follow",
        exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "ended by Ctrl-C"},
    ),
)
def attempts(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    event: Annotated[
        str | None,
        typer.Option("--event", metavar="ID", help="Only this event's id, or webhook-id."),
    ] = None,
    outcome: Annotated[
        AttemptOutcome | None, typer.Option("--outcome", help="Only those that ended so.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 1000,
    all_partitions: Annotated[
        bool,
        typer.Option(
            "--all-partitions", help="Read all, also where the lanes that are meant are known."
        ),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    if follow and until is not None:
        raise UsageError("--follow has no end: leave out --until, or leave out --follow.")
    times = window(since, until, datetime.now(UTC))
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.attempts_find import AttemptPlaces  # noqa: PLC0415
    from hooklane.ops.attempts_read import found_attempts  # noqa: PLC0415
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415
    from hooklane.ops.tenant import subscriptions_of  # noqa: PLC0415

    settings = settings_of(context)
    among = subscriptions_of(tenant, settings)
    selection = AttemptSelection(times, subscription, typed_keys(key), event, outcome, among)
    with open_reader(settings) as reader:
        places = AttemptPlaces(reader, settings)
        if follow:
            _follow(reader, places, selection, limit, output)
            return
        found = found_attempts(reader, places, selection, limit, everywhere=all_partitions)
        print_rows([one.row for one in found], COLUMNS, output)


def _follow(
    reader: "LogReader",
    places: "AttemptPlaces",
    selection: AttemptSelection,
    limit: int,
    output: OutputFormat,
) -> None:
    from hooklane.ops.attempts_read import listed  # noqa: PLC0415 - as above

    show = follow_rows(COLUMNS, output)
    everywhere = places.everywhere()
    if selection.window.since_ms is None:
        spans: Spans = reader.whole(everywhere.partitions)
    else:
        spans = places.spans(everywhere, selection)
        for found in listed(reader, spans, everywhere, selection, limit):
            show(found.row)
    picker = AttemptPicker(selection)
    for line in reader.follow({one: span.end for one, span in spans.items()}):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            show(picked[1])
