"""`hooklane listen`: a receiver on this machine that verifies, prints, and fails when told to."""

import asyncio
from collections.abc import Iterable
from typing import Annotated

import typer

from hooklane.ops.command import explain, single_command
from hooklane.ops.listen_answer import FailurePlan
from hooklane.ops.listen_desk import Desk
from hooklane.ops.listen_server import bound, serve
from hooklane.ops.listen_verify import Scheme, signature_check
from hooklane.ops.output import Column, OutputFormat, OutputOption, follow_rows, notice
from hooklane.runtime.errors import UsageError

app = single_command()

COLUMNS = (
    Column("time"),
    Column("status", align="right"),
    Column("webhook_id", "webhook-id"),
    Column("sequence", align="right"),
    Column("attempt", align="right"),
    Column("verified"),
    Column("order"),
    Column("type"),
    Column("key"),
    Column("cause"),
    Column("body"),
)
_SHORT_BODY = 60
_USUAL_FAILURE = 503


@app.command(
    "listen",
    help=explain(
        "Receive webhooks on this machine, verify them and print a line for each.",
        more="Order is checked per key by hooklane-sequence. Ends by Ctrl-C.",
        example="hooklane listen --port 8080 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
        "hooklane listen --port 8080 --fail 500 --fail-first 3\n"
        "hooklane listen --port 8080 --fail-key c-42 --output json",
        exits={0: "ended by Ctrl-C or SIGTERM", 2: "wrong usage"},
    ),
)
def listen(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes any.")
    ] = 8080,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            envvar="HOOKLANE_LISTEN_SECRET",
            show_envvar=True,
            help="Signing secret; can be repeated. Without one nothing is verified.",
        ),
    ] = None,
    scheme: Annotated[
        Scheme, typer.Option("--scheme", help="How requests are signed.")
    ] = Scheme.STANDARD,
    fail: Annotated[
        int | None,
        typer.Option("--fail", metavar="STATUS", help="Answer with this status instead of 204."),
    ] = None,
    fail_first: Annotated[
        int | None,
        typer.Option("--fail-first", metavar="N", min=0, help="Fail only the first N requests."),
    ] = None,
    fail_key: Annotated[
        list[str] | None,
        typer.Option("--fail-key", metavar="KEY", help="Fail only this key; can be repeated."),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    plan = failure_plan(fail, fail_first, fail_key or ())
    check = signature_check(scheme, secret) if secret else None
    limit = _SHORT_BODY if output is OutputFormat.TABLE else None
    desk = Desk(lambda _: check, plan, follow_rows(COLUMNS, output), limit)
    with bound(host, port) as listening:
        address, found_port = listening.getsockname()[:2]
        notice(f"Listening on http://{address}:{found_port}, Ctrl-C ends.")
        asyncio.run(serve(desk, listening))
    notice(desk.summary())


def failure_plan(fail: int | None, first: int | None, keys: Iterable[str]) -> FailurePlan:
    """What the three options mean together; a status of 503 where none was given.

    Raises:
        UsageError: the status is no failure.
    """
    if fail is not None and not 300 <= fail <= 599:
        raise UsageError(f"--fail {fail} is no failure: give a status from 300 to 599.")
    some = frozenset(keys)
    status = fail if fail is not None or (first is None and not some) else _USUAL_FAILURE
    return FailurePlan(status, first, some)
