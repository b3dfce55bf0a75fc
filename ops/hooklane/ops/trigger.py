"""`hooklane trigger`: publish a sample of an event type, as a service would publish the event."""

import json
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Annotated, Any

import typer

from hooklane.ops.catalog_build import samples_of
from hooklane.ops.catalog_folder import SchemasOption, read_types, schemas_folder, type_named
from hooklane.ops.catalog_sample import NoSampleError
from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.output import OutputFormat, OutputOption, print_record, print_rows
from hooklane.ops.publish import CLIENT, COLUMNS, check_topic
from hooklane.ops.publish_events import event_rows
from hooklane.ops.trigger_data import overridden, parsed_data
from hooklane.producer import EventPublisher, NewEvent, PublishError, Schemas, Validation
from hooklane.runtime.errors import BrokerError, CatalogError, UsageError
from hooklane.schemas.event_types import EventType

app = single_command()


@app.command(
    "trigger",
    help=explain(
        "Publish a sample event of a type.",
        more="The type is one of the folder of schemas; the data is its example, or made from the "
        "schema, with what --set puts in its place. A path is names and places, such as "
        "lines.0.sku. Data that does not fit the schema is refused. Of an Avro type the event is "
        "Avro in single-object encoding, unless --json is given.",
        example="hooklane trigger invoice.paid.v2 --schemas schemas --key c-42\n"
        "hooklane trigger invoice.paid.v2 --set amount=120 --set who.name=Ada\n"
        "hooklane trigger invoice.paid.v2 --print",
    ),
)
def trigger(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    type_: Annotated[str, typer.Argument(metavar="TYPE", show_default=False)],
    schemas: SchemasOption = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Where to; the type's first topic if absent.")
    ] = None,
    key: Annotated[str, typer.Option("--key", help="Events of one key stay in order.")] = "trigger",
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="The data, instead of a sample.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Changes the data; can be repeated."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many events.")] = 1,
    source: Annotated[
        str, typer.Option("--source", help="Where it happened, a URI reference.")
    ] = "/hooklane/trigger",
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Publish what does not fit the schema, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON, also of a type with an Avro schema.")
    ] = False,
    print_: Annotated[
        bool, typer.Option("--print", help="Only show it: nothing is published.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    types = read_types(schemas_folder(context, schemas))
    one = type_named(types, type_)
    found = [overridden(each, set_ or ()) for each in _data(one, data)]
    if not unchecked:
        _check(one, found)
    place = topic or next(iter(one.topics), None)
    if print_:
        _print(one, place, key, found[0], output)
        return
    if place is None:
        raise UsageError(f"{one.name} names no topic: say where to by --topic.")
    kafka = settings_of(context).kafka
    properties = {**kafka.properties, "bootstrap.servers": kafka.bootstrap_servers}
    check_topic(properties, place)
    try:
        # What does not fit has been judged above, by the whole of each sample.
        written_by = None if as_json else Schemas(types, validation=Validation.OFF)
        with EventPublisher(
            {**CLIENT, **properties}, source=source, schemas=written_by
        ) as publisher:
            events = _events(one, key, found, count)
            print_rows(event_rows(publisher, place, events), COLUMNS, output)
    except PublishError as error:
        raise BrokerError(f"{error}.") from error


def _data(one: EventType, given: str | None) -> list[Any]:
    """What was typed, else every sample of the type."""
    if given is not None:
        return [parsed_data(given)]
    try:
        return [each.data for each in samples_of(one)]
    except NoSampleError as error:
        raise CatalogError(f"{one.name}: {error}, or give --data.") from error


def _check(one: EventType, found: list[Any]) -> None:
    for data in found:
        for fault in one.faults(data):
            raise UsageError(
                f"The data does not fit {one.name}: {fault}; --unchecked publishes it all the same."
            )


def _events(one: EventType, key: str, found: list[Any], count: int) -> Iterator[NewEvent]:
    for data in islice(cycle(found), count):
        yield NewEvent(type=one.name, key=key, data=data)


def _print(one: EventType, place: str | None, key: str, data: Any, output: OutputFormat) -> None:
    facts = {"topic": place, "key": key, "type": one.name}
    if output is OutputFormat.JSON:
        print_record({**facts, "data": data}, output)
        return
    print_record(facts, output)
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
