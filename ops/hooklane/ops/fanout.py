"""`hooklane fanout`: the service that matches events and delivers them."""

import typer

from hooklane.ops.command import explain, settings_of, single_command

app = single_command()


@app.command(
    "fanout",
    help=explain(
        "Run the fan-out: match events, deliver them.",
        more="SIGTERM ends it: attempts in flight may end, what is settled is committed, and the "
        "group is left. A second one ends it at once. Neither loses anything.",
        example="HOOKLANE_FANOUT__TOPICS='[\"orders.events\"]' hooklane fanout",
    ),
)
def fanout(context: typer.Context) -> None:
    import uvloop  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.fanout.run import run_fanout  # noqa: PLC0415
    from hooklane.runtime.collector import calm_collector  # noqa: PLC0415
    from hooklane.runtime.core_dumps import no_core_dumps  # noqa: PLC0415
    from hooklane.runtime.log import start_logging  # noqa: PLC0415
    from hooklane.runtime.open_files import raise_open_files  # noqa: PLC0415
    from hooklane.runtime.shutdown import shutdown_signals  # noqa: PLC0415

    no_core_dumps()
    raise_open_files()
    settings = settings_of(context)
    secrets = start_logging(settings, "fanout")

    calm_collector()

    async def run() -> None:
        with shutdown_signals() as shutdown:
            await run_fanout(settings, shutdown, secrets)

    uvloop.run(run())
