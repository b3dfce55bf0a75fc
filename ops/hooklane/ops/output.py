"""How every command prints: tables or JSON on stdout, everything else on stderr.

    from hooklane.ops.output import Column, OutputOption, OutputFormat, notice, print_rows

    COLUMNS = (Column("id"), Column("state"), Column("tasks", align="right"))

    @app.command("list", help=explain("List lanes.", example="hooklane lanes list"))
    def list_lanes(context: typer.Context, output: OutputOption = OutputFormat.TABLE) -> None:
        rows = ({"id": one.id, "state": one.state, "tasks": one.tasks} for one in found)
        print_rows(rows, COLUMNS, output)

A row is a mapping of field names to values (str, int, float, bool, None, aware datetime, lists and
mappings of these). JSON shows every field of the row under its name, so these names are a
contract; a table shows the columns only. `print_rows` takes any iterable and prints as it goes.

- `print_rows(rows, columns, output)`: a listing: a table, or one JSON array (`[]` if empty).
- `print_record(row, output)`: one thing in full: a line a field, or one JSON object.
- `follow_rows(columns, output)`: returns a function that prints one row at once (`--follow`):
  a line, or one JSON object a line.
- `notice(text)`: what was done or is going on, for a person: on stderr, or to who is listening
  (`heard_by`).
- `confirm(question, yes=...)`: before something that cannot be undone.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Annotated, Literal, TypeAlias

import orjson
import typer

from hooklane.runtime.errors import UsageError

Row: TypeAlias = Mapping[str, object]


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption: TypeAlias = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="How to print: a table, or JSON.")
]
YesOption: TypeAlias = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the row's field, its heading (the field's name if empty)."""

    field: str
    title: str = ""
    align: Literal["left", "right"] = "left"

    @property
    def heading(self) -> str:
        return (self.title or self.field.replace("_", " ")).upper()


def print_rows(rows: Iterable[Row], columns: Sequence[Column], output: OutputFormat) -> None:
    """A listing. Nothing is written before the first row is there, so an error leaves no half."""
    if output is OutputFormat.JSON:
        _print_array(rows)
    else:
        _print_table([[text(row.get(c.field)) for c in columns] for row in rows], columns)


def print_record(row: Row, output: OutputFormat) -> None:
    """One thing, with every field."""
    if output is OutputFormat.JSON:
        _write(_json(row) + "\n")
        return
    width = max((len(name) for name in row), default=0)
    for name, value in row.items():
        _write(f"{name.replace('_', ' '):<{width}}  {text(value)}\n")


def follow_rows(columns: Sequence[Column], output: OutputFormat) -> Callable[[Row], None]:
    """A function that prints one row and flushes, for what goes on until it is interrupted."""

    def print_json(row: Row) -> None:
        _write(_json(row) + "\n")
        sys.stdout.flush()

    widths = [len(column.heading) for column in columns]
    headed = False

    def print_line(row: Row) -> None:
        nonlocal headed
        cells = [text(row.get(column.field)) for column in columns]
        for place, cell in enumerate(cells):
            widths[place] = max(widths[place], min(len(cell), 40))
        if not headed:
            _write(_line([column.heading for column in columns], columns, widths))
            headed = True
        _write(_line(cells, columns, widths))
        sys.stdout.flush()

    return print_json if output is OutputFormat.JSON else print_line


_hearer: ContextVar[Callable[[str], None] | None] = ContextVar("hearer", default=None)


@contextmanager
def heard_by(hearer: Callable[[str], None]) -> Iterator[None]:
    """What `notice` says meanwhile goes to `hearer`: it is for a page, and not for a terminal."""
    token = _hearer.set(hearer)
    try:
        yield
    finally:
        _hearer.reset(token)


def is_at_terminal() -> bool:
    """Whether somebody sees notices as they come."""
    return _hearer.get() is None and sys.stderr.isatty()


def notice(message: str) -> None:
    """A sentence for the person at the terminal, on stderr: stdout is for data."""
    hearer = _hearer.get()
    if hearer is not None:
        hearer(printable(message))
        return
    sys.stderr.write(printable(message) + "\n")
    sys.stderr.flush()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone.

    Raises:
        UsageError: there is no terminal to ask at, and `--yes` was not given.
        typer.Abort: the answer was no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} There is no terminal to ask at: give --yes to go on.")
    typer.confirm(question, abort=True, err=True)


def text(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, Mapping):
        return _json(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value)) or "-"
    return printable(str(value))


def printable(value: str) -> str:
    """`value` without what would move a terminal's cursor: it may come from a stranger's event."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def _print_array(rows: Iterable[Row]) -> None:
    left = iter(rows)
    first = next(left, None)
    if first is None:
        _write("[]\n")
        return
    _write("[\n" + _json(first))
    for row in left:
        _write(",\n" + _json(row))
    _write("\n]\n")


def _print_table(cells: list[list[str]], columns: Sequence[Column]) -> None:
    if sys.stdout.isatty():
        _print_rich(cells, columns)
        return
    headings = [column.heading for column in columns]
    widths = [max(map(len, found)) for found in zip(*chain([headings], cells), strict=True)]
    for line in chain([headings], cells):
        _write(_line(line, columns, widths))


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if column.align == "right" else cell.ljust(width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return "  ".join(padded).rstrip() + "\n"


def _print_rich(cells: list[list[str]], columns: Sequence[Column]) -> None:
    # Rich costs 30 ms to import: only a person at a terminal pays for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    emphasis = "" if os.environ.get("NO_COLOR") else "bold"
    table = Table(box=None, pad_edge=False, header_style=emphasis)
    for column in columns:
        table.add_column(column.heading, justify=column.align, overflow="fold")
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))  # Text: brackets in a value are no markup
    Console(width=shutil.get_terminal_size().columns).print(table)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode()


def _write(data: str) -> None:
    sys.stdout.write(data)
