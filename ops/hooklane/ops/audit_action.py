"""Who does what, and why: what an acting command writes into the audit. Pure but for the user.

    action = Action.of(context, "lanes skip", by, why, selection={"lane": lane})
    writer.write([audit_record(action.record(AuditState.DONE, now_ms, count=1), names)])

The record comes first, acknowledged, and then the deed: nothing is done that the audit does not
have. A deed that failed is there too; the command has said so.
"""

import getpass
import os
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Self, TypeAlias

import typer

from hooklane.ops.command import invocation_of
from hooklane.ops.ulid import new_ulid
from hooklane.schemas.records_operator import AuditRecord, AuditState

ByOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--by", metavar="NAME", help="Who does it, for the audit; else the system's user."
    ),
]
WhyOption: TypeAlias = Annotated[
    str, typer.Option("--why", metavar="TEXT", show_default=False, help="Why, for the audit.")
]

_LONGEST = 4096
"""Characters of what was typed: `subscriptions pause` may name thousands."""


@dataclass(frozen=True, slots=True)
class Action:
    """One command that acts. `selection`: what it is about, with times made absolute."""

    id: str
    by: str
    host: str
    name: str
    command: str = ""
    why: str = ""
    subscription: str | None = None
    selection: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        context: typer.Context,
        name: str,
        by: str | None,
        why: str,
        *,
        subscription: str | None = None,
        selection: Mapping[str, str | None] | None = None,
    ) -> Self:
        """A new one, as it was typed; what of the selection is None was not."""
        typed = shlex.join(("hooklane", *invocation_of(context).typed))
        who = system_user() if by is None else by
        return cls.new(name, who, why, typed, subscription=subscription, selection=selection)

    @classmethod
    def new(
        cls,
        name: str,
        by: str,
        why: str,
        command: str,
        *,
        subscription: str | None = None,
        selection: Mapping[str, str | None] | None = None,
    ) -> Self:
        """A new one. `command`: how it was given, in words."""
        found = {} if selection is None else selection
        return cls(
            id=new_ulid(),
            by=_plain(by),
            host=_plain(socket.gethostname()),
            name=name,
            command=_plain(command)[:_LONGEST],
            why=_plain(why),
            subscription=None if subscription is None else _plain(subscription),
            selection={key: _plain(value) for key, value in found.items() if value is not None},
        )

    def as_run(self, run: str, selection: Mapping[str, str]) -> Self:
        """The same as a part of a run that was begun before, with that one's selection."""
        return replace(self, id=run, selection=selection)

    def record(
        self, state: AuditState, at_ms: int, *, count: int = 0, detail: str = ""
    ) -> AuditRecord:
        """How far it is."""
        return AuditRecord(
            id=self.id,
            at_ms=at_ms,
            by=self.by,
            host=self.host,
            action=self.name,
            state=state,
            command=self.command,
            subscription=self.subscription,
            selection=self.selection,
            count=count,
            detail=_plain(detail),
            why=self.why,
        )


def system_user() -> str:
    """The name of the user of this process; its number where it has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid())


def _plain(text: str) -> str:
    """Avro's text is UTF-8: what was none on the command line comes as surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
