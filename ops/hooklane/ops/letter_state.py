"""What became of a dead letter, as it is asked for and shown. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from hooklane.ops.log_selection import moment
from hooklane.ops.output import Row
from hooklane.schemas.records_operator import LetterMark


class LetterState(StrEnum):
    """`open`: nothing was done with it."""

    OPEN = "open"
    REDRIVEN = "redriven"
    PURGED = "purged"
    ALL = "all"


StateOption: TypeAlias = Annotated[
    LetterState, typer.Option("--state", help="Only those of which this became.")
]

STATE_FIELDS = ("state", "state_run", "state_by", "state_at")


def state_of(mark: LetterMark | None) -> LetterState:
    return LetterState.OPEN if mark is None else LetterState(mark.fate.value)


def is_wanted(mark: LetterMark | None, wanted: LetterState) -> bool:
    return wanted in {LetterState.ALL, state_of(mark)}


def state_row(mark: LetterMark | None) -> Mapping[str, object]:
    """The fields that a letter's row has of it."""
    row: Row = {
        "state": state_of(mark).value,
        "state_run": None if mark is None else mark.run,
        "state_by": None if mark is None else mark.by,
        "state_at": None if mark is None else moment(mark.at_ms),
    }
    return row
