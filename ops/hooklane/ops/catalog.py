"""`hooklane catalog`: the event types of a folder of schemas, for people and for machines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hooklane.ops.catalog_folder import (
    SchemasOption,
    judge_types,
    read_types,
    schemas_folder,
    type_named,
)
from hooklane.ops.command import command_group, explain
from hooklane.ops.output import (
    Column,
    OutputFormat,
    OutputOption,
    Row,
    notice,
    print_record,
    print_rows,
)
from hooklane.schemas.event_types import EventType

if TYPE_CHECKING:
    from hooklane.ops.catalog_entry import Entry

app = command_group(
    "Event types: what they hold, documents and pages made of their schemas.",
    example="hooklane catalog build --schemas schemas --out catalog",
)

COLUMNS = (
    Column("type"),
    Column("schema"),
    Column("topics"),
    Column("deprecated"),
    Column("replaced_by"),
    Column("title"),
)
_FILES = "<type>.avsc or <type>.json"


@app.command(
    "build",
    help=explain(
        "Write pages for receivers, an OpenAPI and an AsyncAPI document.",
        more=f"From the schemas of a folder, {_FILES}: index.html with a page for each type, "
        "openapi.json (3.1, a webhook for each type), asyncapi.yaml and .json (3.0, for "
        "publishers), each type's JSON Schema and a sample. The pages need no script and nothing "
        "from elsewhere, and are the same for the same schemas.",
        example="hooklane catalog build --schemas schemas --out catalog\n"
        "hooklane catalog build --out catalog --title 'Acme events' --release 2026-11",
    ),
)
def build(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write to; made if absent.")
    ],
    schemas: SchemasOption = None,
    title: Annotated[str, typer.Option("--title", help="What it is called.")] = "Events",
    release: Annotated[
        str, typer.Option("--release", help="The catalog's own version, in the documents.")
    ] = "1",
    docs_url: Annotated[
        str,
        typer.Option(
            "--docs-url", metavar="URL", help="Where the folder docs/receiving is served."
        ),
    ] = "",
) -> None:
    from hooklane.ops.catalog_build import build as catalog_of  # noqa: PLC0415 - `--help` is quick
    from hooklane.ops.catalog_files import write  # noqa: PLC0415

    types = read_types(schemas_folder(context, schemas))
    written = write(catalog_of(types, title, release), out, docs_url)
    notice(f"{len(types)} types: {len(written)} files in {out}, begin with {out / 'index.html'}.")


@app.command(
    "check",
    help=explain(
        "Say what is wrong with the schemas of a folder.",
        more="Schemas that are none, examples that do not fit, a replaced_by that does not exist, "
        "types of which no sample can be made. For a CI.",
        example="hooklane catalog check --schemas schemas",
        exits={0: "all is well", 1: "a fault, or failed", 2: "wrong usage or setting"},
    ),
)
def check(context: typer.Context, schemas: SchemasOption = None) -> None:
    from hooklane.ops.catalog_build import catalog_faults  # noqa: PLC0415

    types, faults = judge_types(schemas_folder(context, schemas))
    faults += catalog_faults(types)
    for fault in faults:
        notice(f"{fault}.")
    if faults:
        raise typer.Exit(1)
    notice(f"{len(types)} types, nothing wrong.")


@app.command(
    "list",
    help=explain(
        "List the event types.",
        more="JSON fields: type, schema, topics, key, deprecated, replaced_by, title, description.",
        example="hooklane catalog list --schemas schemas",
    ),
)
def list_types(
    context: typer.Context, schemas: SchemasOption = None, output: OutputOption = OutputFormat.TABLE
) -> None:
    print_rows(map(_row, read_types(schemas_folder(context, schemas))), COLUMNS, output)


@app.command(
    "show",
    help=explain(
        "Show one type: its facts, its fields, a sample.",
        more="In JSON also the JSON Schema of what receivers get (json_schema), and the sample.",
        example="hooklane catalog show invoice.paid.v2 --schemas schemas",
    ),
)
def show(
    context: typer.Context,
    type_: Annotated[str, typer.Argument(metavar="TYPE", show_default=False)],
    schemas: SchemasOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    from hooklane.ops.catalog_build import build as catalog_of  # noqa: PLC0415

    one = type_named(read_types(schemas_folder(context, schemas)), type_)
    [entry] = catalog_of([one], "", "").entries
    if output is OutputFormat.JSON:
        sample = entry.samples[0].data
        print_record({**_row(one), "json_schema": entry.schema, "sample": sample}, output)
        return
    print_record(_row(one), output)
    typer.echo(_below(entry))


def _row(one: EventType) -> Row:
    return {
        "type": one.name,
        "schema": one.kind.value,
        "topics": list(one.topics),
        "key": one.key,
        "deprecated": one.deprecated or one.replaced_by is not None,
        "replaced_by": one.replaced_by,
        "title": one.title,
        "description": one.description,
    }


def _below(entry: "Entry") -> str:
    from hooklane.ops.catalog_fields import fields  # noqa: PLC0415
    from hooklane.ops.catalog_pages import pretty  # noqa: PLC0415
    from hooklane.ops.output import printable  # noqa: PLC0415

    rows: list[Any] = fields(entry.schema)
    width = max((len(one.path) for one in rows), default=0)
    lines = [
        f"  {one.path:<{width}}  {one.kind}{'' if one.required else ', optional'}" for one in rows
    ]
    data = [f"  {line}" for line in pretty(entry.samples[0].data).splitlines()]
    return "\n".join(map(printable, ["", "fields", *lines, "", "sample", *data]))
