"""`hooklane retrier`: the service that delivers what waits in the backlog."""

import typer

from hooklane.ops.command import explain, settings_of, single_command

app = single_command()


@app.command(
    "retrier",
    help=explain(
        "Run the retrier: deliver what waits in the backlog, when its time has come.",
        more="SIGTERM ends it: attempts in flight may end, what they lead to is written, and the "
        "group is left. A second one ends it at once. Neither loses anything.",
        example="HOOKLANE_RETRIER__SPOOL_DIR=/var/lib/hooklane hooklane retrier",
    ),
)
def retrier(context: typer.Context) -> None:
    import uvloop  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.retrier.run import run_retrier  # noqa: PLC0415
    from hooklane.runtime.collector import calm_collector  # noqa: PLC0415
    from hooklane.runtime.core_dumps import no_core_dumps  # noqa: PLC0415
    from hooklane.runtime.log import start_logging  # noqa: PLC0415
    from hooklane.runtime.open_files import raise_open_files  # noqa: PLC0415
    from hooklane.runtime.shutdown import shutdown_signals  # noqa: PLC0415

    no_core_dumps()
    raise_open_files()
    settings = settings_of(context)
    secrets = start_logging(settings, "retrier")

    calm_collector()

    async def run() -> None:
        with shutdown_signals() as shutdown:
            await run_retrier(settings, shutdown, secrets)

    uvloop.run(run())
