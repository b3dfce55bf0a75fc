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

    import uvloop  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.ops.outbox_run import run_outbox  # noqa: PLC0415
    from hooklane.runtime.collector import calm_collector  # noqa: PLC0415
    from hooklane.runtime.core_dumps import no_core_dumps  # noqa: PLC0415
    from hooklane.runtime.log import start_logging  # noqa: PLC0415
    from hooklane.runtime.shutdown import shutdown_signals  # noqa: PLC0415

    no_core_dumps()
    secrets = start_logging(settings, "outbox")
    calm_collector()

    async def run() -> None:
        with shutdown_signals() as shutdown:
            await run_outbox(settings, shutdown, secrets)

    uvloop.run(run())
