"""`hooklane config`: which settings are in force, and where each comes from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hooklane.ops.command import command_group, explain, invocation_of
from hooklane.ops.output import Column, OutputFormat, OutputOption, Row, print_rows

if TYPE_CHECKING:
    from hooklane.runtime.settings import Settings
    from hooklane.runtime.settings_source import Given

app = command_group("Show the settings.", example="hooklane config show")

COLUMNS = (Column("name"), Column("value"), Column("source"))


@app.command(
    "show",
    help=explain(
        "Show every setting, its value and where it comes from.",
        more="A secret is shown as `set`.",
        example="hooklane config show\nhooklane --config hooklane.toml config show --output json",
    ),
)
def show(context: typer.Context, output: OutputOption = OutputFormat.TABLE) -> None:
    from hooklane.runtime.settings import read_settings  # noqa: PLC0415 - slow to import

    settings, given = read_settings(invocation_of(context).config)
    print_rows(setting_rows(settings, given), COLUMNS, output)


def setting_rows(settings: "Settings", given: "Given") -> Iterator[Row]:
    """A row a setting; no row holds a secret."""
    from hooklane.runtime.settings_shown import shown_values  # noqa: PLC0415
    from hooklane.runtime.settings_source import setting_name  # noqa: PLC0415

    for section, name, value in shown_values(settings):
        yield {
            "name": setting_name(section, name),
            "value": value,
            "source": given.place(section, name) or "default",
        }
