"""`hooklane dead-letters`: what was given up, and why."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.dead_letters_act import (
    PURGE_HELP,
    REDRIVE_HELP,
    ReasonOption,
    purge,
    redrive,
)
from hooklane.ops.dead_letters_view import (
    COLUMNS,
    FIELDS,
    LetterId,
    LetterSelection,
    flat,
    shown_letter,
    table_row,
)
from hooklane.ops.letter_state import LetterState, StateOption
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
from hooklane.ops.output import OutputFormat, OutputOption, print_record, print_rows

app = command_group("What was given up, and why.", example="hooklane dead-letters list --since 1h")


@app.command(
    "list",
    help=explain(
        "List dead letters, oldest first.",
        more="Without --state those that nothing was done with: not redriven, not purged. "
        "A delivery that was given up twice is listed once. An id is <lane>:<sequence>; a "
        "table shows 12 digits of the lane, enough to name it. Without --since all that Kafka "
        "still has (30 days) is meant; of what is found the newest --limit are shown."
        f"\n\nJSON fields: {', '.join(FIELDS)}.",
        example="hooklane dead-letters list --subscription billing-invoices --since 2h\n"
        "hooklane dead-letters list --reason exhausted --state all --output json",
    ),
)
def list_letters(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reason: ReasonOption = None,
    wanted: StateOption = LetterState.OPEN,
    limit: LimitOption = 1000,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    times = window(since, until, datetime.now(UTC))
    keys = typed_keys(key)
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.dead_letters_read import listed_letters  # noqa: PLC0415
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415
    from hooklane.ops.tenant import subscriptions_of  # noqa: PLC0415

    settings = settings_of(context)
    among = subscriptions_of(tenant, settings)
    selection = LetterSelection(times, subscription, keys, reason, among=among)
    with open_reader(settings) as reader:
        rows = listed_letters(reader, settings.topic_names.dead_letters, selection, wanted, limit)
    print_rows(map(table_row, rows) if output is OutputFormat.TABLE else rows, COLUMNS, output)


@app.command(
    "show",
    help=explain(
        "Show one dead letter: why, its last attempt, its payload.",
        more="A whole lane in the id costs one partition to read, the beginning of one costs "
        "all. Of a delivery that was given up twice the last is shown.\n\n"
        "JSON fields: those of `dead-letters list`; uid, topic_id, group, last_attempt (the "
        "fields of `hooklane attempts`), attributes, content_type, payload; of a record that was "
        "no event value and headers. Bytes that are no text are in the field with _base64.",
        example="hooklane dead-letters show 3f2a9c01:4711",
    ),
)
def show(
    context: typer.Context,
    given: Annotated[
        str,
        typer.Argument(
            metavar="ID", show_default=False, help="<lane>:<sequence>, or 8 digits or more."
        ),
    ],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    wanted = LetterId.parse(given)
    from hooklane.ops.dead_letters_read import the_letter  # noqa: PLC0415 - as above
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415

    settings = settings_of(context)
    with open_reader(settings) as reader:
        line, mark = the_letter(reader, settings.topic_names.dead_letters, wanted, given)
    row = shown_letter(line.key, line.value or b"", line.timestamp_ms, mark)
    print_record(row if output is OutputFormat.JSON else flat(row), output)


app.command("redrive", help=REDRIVE_HELP)(redrive)
app.command("purge", help=PURGE_HELP)(purge)
