"""`hooklane topics`: make Hooklane's own topics, and check them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.output import Column, OutputFormat, OutputOption, Row, notice, print_rows
from hooklane.runtime.errors import TopicsError

if TYPE_CHECKING:
    from hooklane.runtime.kafka_admin import KafkaAdmin
    from hooklane.runtime.topic_check import Finding
    from hooklane.runtime.topic_plan import TopicPlan

_REACH_S = 5.0

app = command_group("Create and check Hooklane's topics.", example="hooklane topics apply")

CHANGES = (Column("topic"), Column("done"), Column("detail"))
FINDINGS = (
    Column("topic"),
    Column("what"),
    Column("wanted"),
    Column("found"),
    Column("remedy"),
)


@app.command(
    "apply",
    help=explain(
        "Create the topics that are missing, and mend the settings that differ.",
        more="May be run as often as you like. It never deletes a topic, and never adds "
        "partitions: that would move lanes.",
        example="hooklane topics apply\nhooklane topics apply --output json",
        exits={0: "all is as it must be", 1: "failed, or left to you", 2: "wrong setting"},
    ),
)
def apply(context: typer.Context, output: OutputOption = OutputFormat.TABLE) -> None:
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.runtime.topic_apply import apply_topics, check_topics  # noqa: PLC0415

    admin, plan = _cluster(context)
    changes = apply_topics(admin, plan)
    rows: list[Row] = [
        {"topic": one.topic, "done": one.deed.value, "detail": one.detail} for one in changes
    ]
    if rows or output is OutputFormat.JSON:
        print_rows(rows, CHANGES, output)
    else:
        notice("Nothing to do: every topic is as it must be, as far as apply can make it so.")
    _tell_what_is_left(check_topics(admin, plan))


@app.command(
    "check",
    help=explain(
        "Say which topics are missing or made wrongly.",
        more="A service does not start with a finding that is vital; the others cost speed only.",
        example="hooklane topics check\nhooklane topics check --output json",
        exits={0: "nothing found", 1: "something found, or failed", 2: "wrong setting"},
    ),
)
def check(context: typer.Context, output: OutputOption = OutputFormat.TABLE) -> None:
    from hooklane.runtime.topic_apply import check_topics  # noqa: PLC0415 - as above

    admin, plan = _cluster(context)
    findings = check_topics(admin, plan)
    if findings or output is OutputFormat.JSON:
        print_rows(_rows(findings), FINDINGS, output)
    else:
        notice("Every topic is as it must be.")
    if findings:
        raise typer.Exit(1)


def _cluster(context: typer.Context) -> "tuple[KafkaAdmin, TopicPlan]":
    from hooklane.runtime.kafka_admin import KafkaAdmin, check_reachable  # noqa: PLC0415 - as above
    from hooklane.runtime.kafka_settings import access_from, plan_from  # noqa: PLC0415

    settings = settings_of(context)
    access = access_from(settings)
    # A person waits: whether anybody is there shows sooner than a large cluster's answers come.
    check_reachable(access, _REACH_S)
    return KafkaAdmin(access), plan_from(settings)


def _rows(findings: "Iterable[Finding]") -> list[Row]:
    from hooklane.runtime.topic_words import remedy  # noqa: PLC0415

    return [
        {
            "topic": one.topic,
            "what": one.what,
            "wanted": one.wanted,
            "found": one.found,
            "vital": one.vital,
            "remedy": remedy(one),
        }
        for one in findings
    ]


def _tell_what_is_left(findings: "Iterable[Finding]") -> None:
    """What apply cannot mend: vital or not, it is said; vital, it is a failure."""
    from hooklane.runtime.topic_words import complaint, remedy, sentence  # noqa: PLC0415

    left = list(findings)
    for one in left:
        if not one.vital:
            notice(f"{sentence(one)}; {remedy(one)}.")
    vital = [one for one in left if one.vital]
    if vital:
        raise TopicsError(complaint(vital))
