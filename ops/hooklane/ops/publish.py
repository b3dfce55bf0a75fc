"""`hooklane publish`: put events on a topic, as a service with the library would."""

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.output import Column, OutputFormat, OutputOption, print_rows
from hooklane.ops.publish_events import Template, event_rows, one_event, parsed_headers
from hooklane.producer import EventPublisher, Mode, PublishError
from hooklane.runtime.errors import BrokerError, TopicsError, UsageError

app = single_command()

COLUMNS = (
    Column("topic"),
    Column("partition", align="right"),
    Column("offset", align="right"),
    Column("id"),
)
REACH_S = 10.0
"""How long the brokers have to answer at all."""

# What librdkafka says about a broker that is away, the command says in one sentence.
_quiet = logging.getLogger("hooklane.ops.publish.client")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False
# Somebody waits at the terminal: not the five minutes that a service may take.
CLIENT = {"logger": _quiet, "message.timeout.ms": 30_000}


@app.command(
    "publish",
    help=explain(
        "Publish one event, or one for each line of a file.",
        more="Data is JSON unless --content-type says otherwise; it goes on byte by byte. "
        "PATH may be - for stdin. Prints where each event is, once Kafka has it.",
        example="hooklane publish orders.events --type order.paid --key c-42 "
        "--data '{\"n\":1}'\n"
        "hooklane publish orders.events --type order.paid --lines orders.ndjson",
    ),
)
def publish(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", show_default=False)],
    type_: Annotated[str, typer.Option("--type", help="What happened, such as invoice.paid.")],
    key: Annotated[
        str | None, typer.Option("--key", help="Events of one key stay in order.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="The event's data.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="A file that is the data.")
    ] = None,
    lines: Annotated[
        str | None, typer.Option("--lines", metavar="PATH", help="A file with an event a line.")
    ] = None,
    event_id: Annotated[
        str | None, typer.Option("--id", help="The event's id; a new UUID if absent.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Where it happened, a URI reference.")
    ] = "/hooklane/publish",
    subject: Annotated[str | None, typer.Option("--subject", help="What it happened to.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", metavar="NAME=VALUE", help="A record header; can be repeated."),
    ] = None,
    content_type: Annotated[
        str, typer.Option("--content-type", help="The data's media type.")
    ] = "application/json",
    mode: Annotated[
        Mode, typer.Option("--mode", help="How the CloudEvent is written.")
    ] = Mode.BINARY,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    given = [one for one in (data, file, lines) if one is not None]
    if len(given) != 1:
        raise UsageError("Give the data by one of --data, --file and --lines.")
    if lines is not None and event_id is not None:
        raise UsageError("--id names one event: leave it out with --lines.")
    template = Template(type_, key, event_id, subject, content_type, parsed_headers(header or ()))
    kafka = settings_of(context).kafka
    properties = {**kafka.properties, "bootstrap.servers": kafka.bootstrap_servers}
    with _source(data, file or lines or "-") as source_of_data:
        if lines is None:
            events = one_event(template, source_of_data.read())
        else:
            events = template.events_of(source_of_data)
        check_topic(properties, topic)
        try:
            with EventPublisher({**CLIENT, **properties}, source=source, mode=mode) as publisher:
                print_rows(event_rows(publisher, topic, events), COLUMNS, output)
        except PublishError as error:
            raise BrokerError(f"{error}.") from error


def check_topic(properties: dict[str, Any], topic: str) -> None:
    """All topics are asked for and not this one: to ask for one can make it.

    Raises:
        BrokerError: Kafka cannot be reached.
        TopicsError: there is no such topic.
    """
    servers = properties["bootstrap.servers"]
    try:
        admin = AdminClient(properties, logger=_quiet)
        found = admin.list_topics(timeout=REACH_S).topics
    except KafkaException as error:
        raise BrokerError(
            f"Kafka at {servers} cannot be reached ({error.args[0].str()}): check "
            "HOOKLANE_KAFKA__BOOTSTRAP_SERVERS and HOOKLANE_KAFKA__PROPERTIES."
        ) from error
    if topic not in found:
        raise TopicsError(
            f"There is no topic {topic} at {servers}, or these credentials may not see it: "
            "create it, or check its name."
        )


def _source(data: str | None, path: str) -> AbstractContextManager[IO[bytes]]:
    """What was typed, or a file, or stdin, which is left open."""
    if data is not None:
        return BytesIO(data.encode("utf-8", "surrogateescape"))
    if path == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
