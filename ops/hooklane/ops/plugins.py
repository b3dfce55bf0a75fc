"""`hooklane plugins`: which are installed here, and whether each can be used."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hooklane.ops.command import explain, single_command
from hooklane.ops.output import Column, OutputFormat, OutputOption, Row, print_rows

if TYPE_CHECKING:
    from hooklane.runtime.plugins import InstalledPlugins

app = single_command()

COLUMNS = (
    Column("group"),
    Column("name"),
    Column("distribution"),
    Column("version"),
    Column("state"),
)


@app.command(
    "plugins",
    help=explain(
        "List the plugins that are installed here.",
        more="Each is loaded; the state is `ok`, or why subscriptions cannot use it. A service has "
        "those of its own environment.",
        example="hooklane plugins\nhooklane plugins --output json",
        exits={0: "all can be used", 1: "one cannot", 2: "wrong usage"},
    ),
)
def plugins(output: OutputOption = OutputFormat.TABLE) -> None:
    from hooklane.runtime.plugins import installed_plugins  # noqa: PLC0415 - slow to import

    rows = list(plugin_rows(installed_plugins()))
    print_rows(rows, COLUMNS, output)
    if any(row["state"] != "ok" for row in rows):
        raise typer.Exit(1)


def plugin_rows(found: "InstalledPlugins") -> Iterator[Row]:
    """A row a plugin, by group and name."""
    for one in found.all():
        yield {
            "group": one.group.value,
            "name": one.name,
            "distribution": one.distribution,
            "version": one.version,
            "state": found.load(one) or "ok",
        }
