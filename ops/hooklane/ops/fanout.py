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
    # What a service needs, `--help` goes without.
    from hooklane.fanout.run import run_fanout  # noqa: PLC0415
    from hooklane.ops.service import run_service  # noqa: PLC0415

    run_service(settings_of(context), "fanout", run_fanout)
