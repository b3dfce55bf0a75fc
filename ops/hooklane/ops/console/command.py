"""`hooklane console`: the same as the commands show, in a browser."""

import typer

from hooklane.ops.command import explain, settings_of, single_command

app = single_command()


@app.command(
    "console",
    help=explain(
        "Serve the console: pages that show what waits and why, and act.",
        more="It reads Kafka, and the /metrics of HOOKLANE_CONSOLE__SERVICES, and keeps nothing. "
        "Settings are HOOKLANE_CONSOLE__..., by default port 8085 of loopback. People come in by "
        "a token, which is said on stderr where none is set, or by way of an authenticating "
        "proxy.",
        example="hooklane console\nHOOKLANE_CONSOLE__READ_ONLY=true hooklane console",
        exits={0: "ended by SIGTERM or SIGINT", 1: "failed", 2: "wrong usage or setting"},
    ),
)
def console(context: typer.Context) -> None:
    import asyncio  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.ops.console.serve import run_console  # noqa: PLC0415
    from hooklane.runtime.log import start_logging  # noqa: PLC0415

    settings = settings_of(context)
    start_logging(settings, "console")
    asyncio.run(run_console(settings))
