"""`hooklane dev`: Hooklane for one's own application, in one process, on this machine."""

import re
from pathlib import Path
from typing import Annotated

import typer

from hooklane.ops.command import explain, invocation_of, single_command
from hooklane.runtime.errors import UsageError

app = single_command()

_FOLDER = Path("subscriptions")


@app.command(
    "dev",
    help=explain(
        "Run all of Hooklane for your own application, in this one process.",
        more="Takes the subscriptions from a folder's files and follows their changes, shows every "
        "request with its reason, and receives webhooks itself where you have no receiver yet. The "
        "broker is the one inside librdkafka, unless --kafka names one: not a real Kafka, it keeps "
        "nothing, and takes clients that are built on librdkafka, and aiokafka, but not the Java "
        "client. Without FOLDER it takes ./subscriptions, and if that is not there it sends "
        "every event to its own receiver. http:// URLs, receivers on this machine and secrets in "
        "the clear are allowed here. Ends by Ctrl-C.",
        example="hooklane dev\n"
        "hooklane dev subscriptions --no-receiver\n"
        "hooklane dev subscriptions --kafka localhost:9092 --topic orders.events",
        exits={
            0: "ended by Ctrl-C or SIGTERM",
            1: "failed",
            2: "wrong usage or setting",
        },
    ),
)
def dev(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Folder of subscriptions, or one file."),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT", help="Use this Kafka; topics are made there."),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port of the embedded broker; 0 takes any."),
    ] = 9092,
    topic: Annotated[
        list[str] | None,
        typer.Option(
            "--topic",
            metavar="TOPIC",
            help="Event topic besides those that documents name whole; can be repeated.",
        ),
    ] = None,
    receiver: Annotated[
        bool, typer.Option("--receiver/--no-receiver", help="Receive webhooks here as well.")
    ] = True,
    receiver_port: Annotated[
        int,
        typer.Option("--receiver-port", min=0, max=65535, help="Its port; 0 takes any."),
    ] = 8090,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Write the services' logs there.")
    ] = None,
) -> None:
    import uvloop  # noqa: PLC0415 - what a service needs, `--help` goes without

    from hooklane.ops.dev_run import Options, run_dev  # noqa: PLC0415
    from hooklane.ops.dev_view import dev_view  # noqa: PLC0415
    from hooklane.ops.shown_logs import logging_to  # noqa: PLC0415
    from hooklane.runtime.settings import read_settings  # noqa: PLC0415

    invocation = invocation_of(context)
    _, given = read_settings(invocation.config)
    options = Options(
        source=_source(folder, receiver=receiver),
        kafka=_servers(kafka),
        port=port,
        topics=tuple(topic or ()),
        receiver_port=receiver_port if receiver else None,
        given=given,
    )
    view = dev_view(plain=invocation.debug)
    with logging_to(log, shown=invocation.debug) as secrets:
        uvloop.run(run_dev(options, view, secrets))


def _source(folder: Path | None, *, receiver: bool) -> Path | None:
    """The folder or file, None where nothing is to be had and a sample does."""
    if folder is not None:
        if not folder.exists():
            raise UsageError(f"There is no folder {folder}: make it, or name another one.")
        return folder
    if _FOLDER.is_dir():
        return _FOLDER
    if not receiver:
        raise UsageError(
            "Without a receiver name a FOLDER of subscriptions: no event would go out."
        )
    return None


def _servers(kafka: str | None) -> str | None:
    if kafka is not None and not re.fullmatch(r"[^,:\s]+:[0-9]+(,[^,:\s]+:[0-9]+)*", kafka):
        raise UsageError(f"--kafka {kafka} is not HOST:PORT, such as localhost:9092.")
    return kafka
