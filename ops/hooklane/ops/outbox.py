"""`hooklane outbox`: publishes what services have written into an outbox table."""

from typing import Annotated

import typer

from hooklane.ops.command import explain, settings_of, single_command

app = single_command()


@app.command(
    "outbox",
    help=explain(
        "Publish the rows of an outbox table in PostgreSQL as events, in order per key.",
        more="As many as there are buckets can work on a table at once. SIGTERM ends it: what is "
        "on its way is published and marked. A second one ends it at once. Neither loses anything.",
        example="HOOKLANE_OUTBOX__DSN=postgresql://relay@localhost/shop hooklane outbox\n"
        "hooklane outbox --print-sql --role relay",
    ),
)
def outbox(
    context: typer.Context,
    print_sql: Annotated[
        bool,
        typer.Option(
            "--print-sql", help="Print the SQL that makes the table as it is set, and its trigger."
        ),
    ] = False,
    role: Annotated[
        str, typer.Option("--role", help="With it: PostgreSQL's user that the relay is.")
    ] = "hooklane_relay",
) -> None:
    settings = settings_of(context)
    if print_sql:
        from hooklane.ops.outbox_layout import layout_from  # noqa: PLC0415
        from hooklane.producer.outbox.ddl import creation  # noqa: PLC0415

        typer.echo("\n\n".join(creation(layout_from(settings.outbox), role)))
        return

    # What a service needs, `--help` goes without.
    from hooklane.ops.outbox_run import run_outbox  # noqa: PLC0415
    from hooklane.ops.service import run_service  # noqa: PLC0415

    run_service(settings, "outbox", run_outbox)
