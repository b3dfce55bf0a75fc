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
    # What a service needs, `--help` goes without.
    from hooklane.ops.service import run_service  # noqa: PLC0415
    from hooklane.retrier.run import run_retrier  # noqa: PLC0415

    run_service(settings_of(context), "retrier", run_retrier)
