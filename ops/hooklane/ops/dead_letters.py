"""`hooklane dead-letters`: what was given up, and why."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

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
    LetterPicker,
    LetterSelection,
    flat,
    letter_id,
    mark_id,
    mark_of,
    shown_letter,
    table_row,
    unread_id,
)
from hooklane.ops.letter_state import LetterState, StateOption
from hooklane.ops.log_selection import (
    KeyOption,
    LimitOption,
    Newest,
    SinceOption,
    SubscriptionOption,
    UntilOption,
    typed_keys,
    window,
)
from hooklane.ops.output import OutputFormat, OutputOption, Row, notice, print_record, print_rows
from hooklane.runtime.errors import HooklaneError, UsageError
from hooklane.schemas.codec import DEAD_LETTERS, CodecError
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.records_operator import LetterMark

if TYPE_CHECKING:
    from hooklane.ops.log_reader import Line, LogReader, Spans

app = command_group("What was given up, and why.", example="hooklane dead-letters list --since 1h")

_SKEW_MS = 15 * 60_000
"""A record's time is that of its writing, a letter's that of the decision."""
_NAMED_AT_MOST = 5


class NoSuchLetterError(HooklaneError):
    """There is no such dead letter."""


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
    key: KeyOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    reason: ReasonOption = None,
    wanted: StateOption = LetterState.OPEN,
    limit: LimitOption = 1000,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    times = window(since, until, datetime.now(UTC))
    selection = LetterSelection(times, subscription, typed_keys(key), reason)
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415

    settings = settings_of(context)
    with open_reader(settings) as reader:
        rows = _listed(reader, settings.topic_names.dead_letters, selection, wanted, limit)
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
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415 - as above

    settings = settings_of(context)
    with open_reader(settings) as reader:
        line, mark = _the_one(reader, settings.topic_names.dead_letters, wanted, given)
    row = shown_letter(line.key, line.value or b"", line.timestamp_ms, mark)
    print_record(row if output is OutputFormat.JSON else flat(row), output)


app.command("redrive", help=REDRIVE_HELP)(redrive)
app.command("purge", help=PURGE_HELP)(purge)


def _listed(
    reader: "LogReader", topic: str, selection: LetterSelection, wanted: LetterState, limit: int
) -> list[Row]:
    """The newest so many, oldest first; what cannot be read is among them, or told."""
    from hooklane.ops.log_reader import newest  # noqa: PLC0415 - as above

    times, partitions = selection.window, reader.partitions(topic)
    since_ms = None if times.since_ms is None else times.since_ms - _SKEW_MS
    # Marks stand behind their letters, so it goes to the end whatever --until says.
    spans = reader.between(partitions, since_ms, None)
    # Where everything is meant, the newest so many are the last ones of the partitions.
    read = newest(spans, limit) if selection.is_all and times.until_ms is None else spans
    picker = LetterPicker(selection, wanted)
    rows, cut = _picked(reader, read, picker, limit)
    for _ in range(2):
        if len(rows) == limit or not (cut or read != spans):
            break
        # Among the newest were some that are not wanted, by marks behind them. After a reading of
        # everything all marks are known, and a last one finds the right ones.
        read, picker = spans, LetterPicker(selection, wanted, picker.marks)
        rows, cut = _picked(reader, read, picker, limit)
    if cut or read != spans:
        notice(f"Only the newest {limit} are shown: --limit N shows more.")
    if picker.unread:
        notice(f"{picker.unread} records cannot be read by this version and may be meant too.")
    return rows


def _picked(
    reader: "LogReader", spans: "Spans", picker: LetterPicker, limit: int
) -> tuple[list[Row], bool]:
    """The newest so many of these spans, and whether others were left out."""
    found = Newest[str, Row](limit)
    for line in reader.read(spans):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            found.add(_name(picked[1], line), *picked)
    rows = found.oldest_first()
    return picker.with_states(rows), found.left_out


def _the_one(
    reader: "LogReader", topic: str, wanted: LetterId, given: str
) -> "tuple[Line, LetterMark | None]":
    """The newest record of the one letter that is meant, and what became of it.

    Raises:
        UsageError: several are.
        NoSuchLetterError: none is.
    """
    partitions = reader.partitions(topic)
    if wanted.is_whole_lane:
        partitions = [partitions[lane_partition(LaneId(wanted.lane), len(partitions))]]
    found: dict[str, Line] = {}
    marks: dict[str, LetterMark] = {}
    for line in reader.read(reader.whole(partitions)):
        if line.key is None or line.value is None or not line.key.startswith(wanted.lane.encode()):
            continue
        if (mark := mark_of(line.value)) is not None:
            marks[mark_id(mark)] = mark
            continue
        name = _id_of(line)
        # Of many letters of one lane only so many are kept as the sentence names.
        if wanted.names(name) and (name in found or len(found) <= _NAMED_AT_MOST):
            found[name] = line
    if not found:
        raise NoSuchLetterError(
            f"There is no dead letter {given}: `hooklane dead-letters list` shows what Kafka "
            "still has."
        )
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_NAMED_AT_MOST])
        raise UsageError(f"{given} may be one of several dead letters, such as {names}: name one.")
    name, line = next(iter(found.items()))
    return line, marks.get(name)


def _id_of(line: "Line") -> str:
    try:
        return letter_id(DEAD_LETTERS.decode(line.value or b""))
    except CodecError:
        return unread_id(line.key)


def _name(row: Row, line: "Line") -> str:
    """What makes a listed letter the same one: its id; a record that cannot be read is its own."""
    if row["unreadable"] is None:
        return str(row["id"])
    return f"{line.partition}/{line.offset}"
