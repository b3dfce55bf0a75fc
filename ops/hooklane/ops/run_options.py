"""The options of commands that take long, and how they end."""

from typing import Annotated, TypeAlias

import typer

from hooklane.ops.output import notice
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_values import RateLimit, parse_rate

RateOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--rate", metavar="RATE", help="No faster than this: 50/s, 600/m. Else at once."),
]
DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Count, and do nothing.")
]
NewIdsOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--new-ids", help="With webhook-ids of their own, for a receiver that drops known ones."
    ),
]
_INTERRUPTED = 130


def rate_limit(given: str | None) -> RateLimit | None:
    """What `--rate` asks for.

    Raises:
        UsageError: it is no rate.
    """
    try:
        return None if given is None else parse_rate(given)
    except ValueError as error:
        raise UsageError(f"--rate {error}.") from None


def ended(state: AuditState, said: str) -> None:
    """An interrupted command ends with the code of one, and says how to go on.

    Raises:
        typer.Exit: it was interrupted.
    """
    if state is AuditState.INTERRUPTED:
        notice(f"Interrupted: {said}")
        raise typer.Exit(_INTERRUPTED)
