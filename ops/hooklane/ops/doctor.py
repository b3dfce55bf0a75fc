"""`hooklane doctor`: whether everything is there that deliveries need, and what to do."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.doctor_findings import COLUMNS, FIELDS, Finding, Status, finding_row, is_wrong
from hooklane.ops.output import OutputFormat, OutputOption, notice, print_rows
from hooklane.runtime.errors import HooklaneError

if TYPE_CHECKING:
    from hooklane.runtime.settings import Settings

app = single_command()


@app.command(
    "doctor",
    help=explain(
        "Check broker, topics, rights, documents, secrets, clock; say what to do.",
        more="Run it where a service runs, with its settings: secrets, the spool folder and the "
        "clock are this host's. Nothing is changed or written to Kafka. Of rights what Kafka "
        "tells is checked; it does not tell about transactional ids.\n\n"
        "Checks: broker, topics, rights, subscriptions, secrets, plugins, registry, spool, clock, "
        "groups. A finding is ok, warning (it works, and somebody should know), wrong, or skipped "
        "(what it needs is wrong).\n\n"
        f"JSON fields: {', '.join(FIELDS)}.",
        example="hooklane doctor\nhooklane doctor --output json",
        exits={0: "nothing is wrong", 1: "something is", 2: "wrong usage or setting"},
    ),
)
def doctor(context: typer.Context, output: OutputOption = OutputFormat.TABLE) -> None:
    settings = settings_of(context)
    findings = list(_findings(settings))
    print_rows(map(finding_row, findings), COLUMNS, output)
    if is_wrong(findings):
        raise typer.Exit(1)
    notice("Nothing is wrong.")


def _findings(settings: "Settings") -> Iterator[Finding]:
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.doctor_here import plugins, registry, spool  # noqa: PLC0415
    from hooklane.ops.doctor_kafka import KafkaDoctor  # noqa: PLC0415
    from hooklane.runtime.plugins import installed_plugins  # noqa: PLC0415

    kafka = KafkaDoctor(settings)
    broker = kafka.broker()
    yield broker
    if broker.status is Status.OK and kafka.is_embedded():
        for check in ("topics", "rights", "clock", "groups"):
            yield Finding(
                check, "kafka", Status.SKIPPED, "the broker of `hooklane dev` cannot tell"
            )
        yield from _documents(settings, [])
    elif broker.status is Status.OK:
        yield from kafka.topics()
        yield from kafka.rights()
        yield from _documents(settings, kafka.event_topics())
        yield from kafka.clock(time.time_ns() // 1_000_000)
        yield from kafka.groups()
    else:
        for check in ("topics", "rights", "subscriptions", "secrets", "clock", "groups"):
            yield Finding(check, "kafka", Status.SKIPPED, "Kafka does not answer")
    yield from plugins(installed_plugins())
    yield registry(settings)
    yield spool(settings.retrier.spool_dir)


def _documents(settings: "Settings", event_topics: list[str]) -> Iterator[Finding]:
    from hooklane.ops.doctor_here import secrets, subscriptions  # noqa: PLC0415 - as above
    from hooklane.ops.subscriptions_topic import ConfigTopic  # noqa: PLC0415

    try:
        book = ConfigTopic(settings, timeout_s=10.0).read()
    except HooklaneError as error:
        yield Finding(
            "subscriptions", "all", Status.WRONG, str(error).rstrip("."), "see to what it names"
        )
        return
    yield from subscriptions(book, event_topics)
    yield from secrets(book, settings)
