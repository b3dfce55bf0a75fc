"""What a benchmark found: tables for people, and the same as JSON values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """The first column is text, the others are numbers; `notes` are lines below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]
        shown = [_line(line, widths) for line in lines]
        rule = "-" * len(shown[0])
        return "\n".join([self.title, "", shown[0], rule, *shown[1:], "", *self.notes, ""])


@dataclass(frozen=True, slots=True)
class Report:
    """`values` goes into the JSON that the run prints."""

    tables: Sequence[Table]
    values: dict[str, Any] = field(default_factory=dict)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])
