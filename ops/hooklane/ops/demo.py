"""`hooklane demo`: the whole of Hooklane on this machine, in under half a minute."""

from pathlib import Path
from typing import Annotated

import typer

from hooklane.ops.command import explain, invocation_of, single_command

app = single_command()


@app.command(
    "demo",
    help=explain(
        "Show the whole of Hooklane at work, on this machine alone.",
        more="Starts a broker (the one inside librdkafka: not a real Kafka), a fan-out, a retrier "
        "and three receivers, of which one fails for some seconds and one for one key. Publishes "
        "the events of a small shop and checks at the receivers that each came, signed and in "
        "order. Nothing is left behind.",
        example="hooklane demo\nhooklane demo --keep",
        exits={0: "all is well", 1: "something is off", 2: "wrong usage", 130: "interrupted"},
    ),
)
def demo(
    context: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on afterwards, for events of your own.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write the services' logs there.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the services' logs, and lines instead of a table.")
    ] = False,
) -> None:
    import uvloop  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.ops.demo_play import play  # noqa: PLC0415
    from hooklane.ops.demo_view import view_for  # noqa: PLC0415
    from hooklane.ops.shown_logs import logging_to  # noqa: PLC0415

    shown = debug or invocation_of(context).debug
    with logging_to(log, shown=shown):
        code = uvloop.run(play(view_for(plain=shown), keep=keep))
    raise typer.Exit(code)
