"""`hooklane listen`: a receiver on this machine that verifies, prints, and fails when told to."""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.command import explain, single_command
from hooklane.ops.listen_answer import ACCEPTED, FailurePlan
from hooklane.ops.listen_desk import Answer, Desk
from hooklane.ops.listen_keep import RequestFolder
from hooklane.ops.listen_server import Beyond, bound, serve
from hooklane.ops.listen_verify import Scheme, signature_check
from hooklane.ops.output import (
    Column,
    OutputFormat,
    OutputOption,
    Row,
    follow_rows,
    notice,
    print_rows,
)
from hooklane.runtime.errors import UsageError

if TYPE_CHECKING:
    from hooklane.ops.listen_forward import Forward

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
REPLAYED = (
    Column("time"),
    Column("status", align="right"),
    Column("webhook_id", "webhook-id"),
    Column("type"),
    Column("cause"),
)
_SHORT_BODY = 60
_USUAL_FAILURE = 503


@app.command(
    "listen",
    help=explain(
        "Receive webhooks on this machine, verify them and print a line for each.",
        more="Order is checked per lane by hooklane-sequence. With --forward-to what is genuine "
        "goes on to your own server, byte by byte, and its answer goes back; --keep holds the last "
        "hundred of them as files for hooklane verify, and --replay sends the last of these once "
        "more, signed anew. Ends by Ctrl-C.",
        example="hooklane listen --port 8080 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
        "hooklane listen --port 8080 --fail 500 --fail-first 3\n"
        "hooklane listen --port 8080 --fail-key c-42 --output json\n"
        "hooklane listen --forward-to localhost:3000/hooks --keep kept\n"
        "hooklane listen --forward-to localhost:3000/hooks --keep kept --replay 1",
        exits={
            0: "ended by Ctrl-C or SIGTERM",
            1: "replay refused",
            2: "wrong usage",
        },
    ),
)
def listen(  # noqa: PLR0913, PLR0917 - a command's options
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
    verify: Annotated[
        bool | None,
        typer.Option(
            "--verify/--no-verify",
            help="Refuse what is not genuine; default: if there is a secret. Or only say so.",
        ),
    ] = None,
    forward_to: Annotated[
        str | None,
        typer.Option(
            "--forward-to",
            metavar="URL",
            help="Pass on to this server, answer as it does; without a path: to the same path.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="FOLDER", help="Keep the last 100 accepted requests there."),
    ] = None,
    replay: Annotated[
        int | None,
        typer.Option(
            "--replay",
            metavar="N",
            min=1,
            help="Send the last N of --keep to --forward-to once more, and end.",
        ),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    secrets = secret or []
    if verify and not secrets:
        raise UsageError("--verify needs a --secret, or HOOKLANE_LISTEN_SECRET.")
    folder = None if keep is None else RequestFolder(keep)
    if replay is not None:
        rows = asyncio.run(_again(folder, replay, forward_to, scheme, secrets))
        print_rows(rows, REPLAYED, output)
        raise typer.Exit(0 if all(row["accepted"] for row in rows) else 1)
    plan = failure_plan(fail, fail_first, fail_key or ())
    check = signature_check(scheme, secrets) if secrets else None
    limit = _SHORT_BODY if output is OutputFormat.TABLE else None
    shown = follow_rows(COLUMNS, output)
    desk = Desk(lambda _: check, plan, shown, limit, strict=verify is not False)
    if folder is not None:
        folder.make()
    with bound(host, port) as listening:
        address, found_port = listening.getsockname()[:2]
        asyncio.run(_listen(desk, listening, f"http://{address}:{found_port}", forward_to, folder))
    notice(desk.summary())


async def _listen(
    desk: Desk, listening: socket.socket, here: str, to: str | None, folder: RequestFolder | None
) -> None:
    async with AsyncExitStack() as stack:
        forward: Forward | None = None
        if to is not None:
            # httpx takes a while to import: who only looks goes without it.
            from hooklane.ops.listen_forward import forwarding_to  # noqa: PLC0415

            forward = await stack.enter_async_context(forwarding_to(to))
        notice(f"Listening on {here}, Ctrl-C ends.")
        await serve(desk, listening, _beyond(forward, folder))


def _beyond(forward: "Forward | None", folder: RequestFolder | None) -> Beyond | None:
    """What becomes of a request that is accepted here; None if nothing does."""
    if forward is None and folder is None:
        return None

    async def answer(target: str, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Answer:
        if folder is not None:
            folder.keep(datetime.now(UTC), target, headers, body)
        if forward is None:
            return Answer(ACCEPTED, "")
        return await forward.send(target, headers, body)

    return answer


async def _again(
    folder: RequestFolder | None,
    count: int,
    to: str | None,
    scheme: Scheme,
    secrets: Sequence[str],
) -> list[Row]:
    from hooklane.ops.listen_again import sent_again  # noqa: PLC0415

    if folder is None or to is None:
        raise UsageError("--replay needs --keep, where the requests are, and --forward-to.")
    return await sent_again(folder.last(count), to, scheme, secrets)


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
