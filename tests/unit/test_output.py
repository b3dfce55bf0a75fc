"""Output: tables for people, JSON for programs, and stdout for nothing else."""

import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer

from hooklane.ops.output import (
    Column,
    OutputFormat,
    Row,
    confirm,
    follow_rows,
    notice,
    print_record,
    print_rows,
)
from hooklane.runtime.errors import BrokerError, UsageError

COLUMNS = (Column("id"), Column("tasks", align="right"), Column("seen_at", "seen"))
ROWS: list[Row] = [
    {"id": "a", "tasks": 5, "seen_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "more": [1]},
    {"id": "longer", "tasks": 12, "seen_at": None, "more": {"x": True}},
]


def test_a_table_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are aligned, nothing is cut or coloured, a missing value is a dash."""
    print_rows(ROWS, COLUMNS, OutputFormat.TABLE)
    assert capsys.readouterr().out == (
        "ID      TASKS  SEEN\na           5  2026-01-02 03:04:05Z\nlonger     12  -\n"
    )


def test_json_is_one_array_with_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has also what no column shows, times in RFC 3339."""
    print_rows(iter(ROWS), COLUMNS, OutputFormat.JSON)
    found = json.loads(capsys.readouterr().out)
    assert found[0] == {"id": "a", "tasks": 5, "seen_at": "2026-01-02T03:04:05Z", "more": [1]}
    assert found[1]["more"] == {"x": True}


@pytest.mark.parametrize(
    ("output", "printed"), [(OutputFormat.JSON, "[]\n"), (OutputFormat.TABLE, "ID  TASKS  SEEN\n")]
)
def test_nothing_found(
    output: OutputFormat, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No row is an empty array, or a table with its headings."""
    print_rows([], COLUMNS, output)
    assert capsys.readouterr().out == printed


def test_an_error_before_the_first_row_leaves_stdout_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A program that reads the output never sees half an array from a question that failed."""

    def ask(row: Row) -> Row:
        raise BrokerError(f"Down, so {row['id']} is not known.")

    with pytest.raises(BrokerError):
        print_rows(map(ask, ROWS), COLUMNS, OutputFormat.JSON)
    assert capsys.readouterr().out == ""


def test_following_prints_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Each row is there at once, without an array around."""
    print_row = follow_rows(COLUMNS, OutputFormat.JSON)
    for row in ROWS:
        print_row(row)
        (line,) = capsys.readouterr().out.splitlines()
        assert json.loads(line)["id"] == row["id"]


def test_following_prints_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """The headings come once, before the first row."""
    print_row = follow_rows(COLUMNS, OutputFormat.TABLE)
    assert capsys.readouterr().out == ""
    for row in ROWS:
        print_row(row)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["ID", "a", "longer"]


def test_one_record_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """A detail view has a line a field; as JSON it is one object."""
    print_record(ROWS[1], OutputFormat.TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "id       longer",
        "tasks    12",
        "seen at  -",
        'more     {"x":true}',
    ]
    print_record(ROWS[1], OutputFormat.JSON)
    assert json.loads(capsys.readouterr().out)["id"] == "longer"


@pytest.mark.parametrize("output", OutputFormat)
def test_a_strangers_text_moves_no_cursor(
    output: OutputFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences and line breaks from an event stay on their line as visible text."""
    print_rows([{"id": "x\x1b[2J\ny"}], [Column("id")], output)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert len(printed.splitlines()) == (2 if output is OutputFormat.TABLE else 3)


def test_notices_are_not_data(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said to the person goes to stderr."""
    notice("3 lanes released.")
    assert capsys.readouterr() == ("", "3 lanes released.\n")


def test_nobody_to_ask_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a dangerous command needs --yes, and says so."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    confirm("Delete 3 dead letters?", yes=True)
    with pytest.raises(UsageError, match="give --yes"):
        confirm("Delete 3 dead letters?", yes=False)


def test_no_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the answer no ends the command."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(typer.Abort):
        confirm("Delete 3 dead letters?", yes=False)


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_emphasis_unless_it_is_refused(no_color: str, coloured: bool) -> None:
    """At a terminal headings stand out, brackets in values stay, and NO_COLOR is kept."""
    code = (
        "from hooklane.ops.output import *;"
        "print_rows([{'id': '[bold]x[/bold]'}], [Column('id')], OutputFormat.TABLE)"
    )
    environ = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"}
    if no_color:
        environ["NO_COLOR"] = no_color
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdout=theirs, env=environ, check=True)
    os.close(theirs)
    printed = os.read(ours, 65536).decode()
    os.close(ours)
    assert "[bold]x[/bold]" in printed
    assert ("\x1b[" in printed) is coloured
