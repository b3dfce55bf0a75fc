"""What every command has in common: its help text, and the settings it runs with.

    app = command_group("Create and check Hooklane's topics.", example="hooklane topics apply")

    @app.command("apply", help=explain("Create what is missing.", example="hooklane topics apply"))
    def apply(context: typer.Context) -> None:
        settings = settings_of(context)

A module with one command only makes it likewise; `main` shows a single one without its group:

    app = single_command()

    @app.command("publish", help=explain(...))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hooklane.runtime.settings import Settings

USUAL_EXITS: Mapping[int, str] = {0: "done", 1: "failed", 2: "wrong usage or setting"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """The root's options, for every command below it; `typed` are all arguments."""

    config: Path | None = None
    debug: bool = False
    typed: tuple[str, ...] = ()


def explain(
    purpose: str, *, example: str, exits: Mapping[int, str] = USUAL_EXITS, more: str = ""
) -> str:
    """A command's help: one line of purpose, what else is to know, an example, the exit codes.

    `example` may have several lines.
    """
    commands = "\n".join(f"  {line}" for line in example.splitlines())
    codes = "; ".join(f"{code} {meaning}" for code, meaning in exits.items())
    # A paragraph that begins with a backspace is printed line by line, as it is.
    parts = [purpose, more, f"\b\nExample:\n{commands}", f"\b\nExit codes: {codes}"]
    return "\n\n".join(part for part in parts if part)


def command_group(purpose: str, *, example: str) -> typer.Typer:
    """An application for the commands of one module."""
    app = typer.Typer(
        help=explain(purpose, example=example),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(_nothing)
    return app


def single_command() -> typer.Typer:
    """An application for a module that is one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)


def _nothing() -> None:
    """Keeps a group a group, also while it has one command."""


def invocation_of(context: typer.Context) -> Invocation:
    """The root's options."""
    found = context.find_root().obj
    return found if isinstance(found, Invocation) else Invocation()


def settings_of(context: typer.Context) -> "Settings":
    """The settings, from the environment and the file that `--config` names.

    Raises:
        SettingsError: a wrong or unknown setting.
    """
    # pydantic-settings costs 130 ms to import: `--help` goes without it.
    from hooklane.runtime.settings import load_settings  # noqa: PLC0415

    return load_settings(invocation_of(context).config)
