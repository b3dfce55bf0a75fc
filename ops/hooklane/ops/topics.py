"""`hooklane topics`: make Hooklane's own topics, and check them."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.output import Column, OutputFormat, OutputOption, Row, notice, print_rows
from hooklane.ops.topics_rights import Groups, Right, Role, acl_commands, rights
from hooklane.runtime.errors import TopicsError, UsageError

if TYPE_CHECKING:
    from hooklane.runtime.kafka_admin import KafkaAdmin
    from hooklane.runtime.topic_check import Finding
    from hooklane.runtime.topic_plan import TopicPlan

_REACH_S = 5.0

app = command_group("Create and check Hooklane's topics.", example="hooklane topics apply")

CHANGES = (Column("topic"), Column("done"), Column("detail"))
RIGHTS = (
    Column("principal"),
    Column("resource"),
    Column("name"),
    Column("pattern"),
    Column("operations"),
    Column("why"),
)
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


@app.command(
    "acls",
    help=explain(
        "Say what each principal has to be allowed at the brokers, and nothing more.",
        more="By the settings: topics, tiers, groups, prefix. Kafka is not asked. Roles may be one "
        "principal; without --principal each is User:hooklane-ROLE.",
        example="hooklane topics acls\n"
        "hooklane topics acls --role fanout --principal fanout=User:CN=fanout\n"
        "hooklane topics acls --commands >> acls.sh",
        exits={0: "done", 2: "wrong usage or setting"},
    ),
)
def acls(
    context: typer.Context,
    role: Annotated[
        list[Role] | None, typer.Option("--role", help="Only this role; can be repeated.")
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            "--principal",
            metavar="ROLE=PRINCIPAL",
            help="Who a role is at the brokers; can be repeated.",
        ),
    ] = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="Print lines for kafka-acls.sh of Kafka's archive.")
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    from hooklane.runtime.kafka_settings import plan_from  # noqa: PLC0415 - as above

    settings = settings_of(context)
    principals = _principals(principal or ())
    groups = Groups(settings.fanout.group_id, settings.retrier.group_id)
    found = [one for one in rights(plan_from(settings), groups) if not role or one.role in role]
    if commands:
        for line in acl_commands(found, principals, settings.kafka.bootstrap_servers):
            typer.echo(line)
        return
    print_rows((_right_row(one, principals) for one in found), RIGHTS, output)


def _principals(given: Iterable[str]) -> dict[Role, str]:
    """Who each role is: by default a user of its name."""
    found = {role: f"User:hooklane-{role}" for role in Role}
    for one in given:
        name, _, principal = one.partition("=")
        if name not in set(Role) or ":" not in principal:
            raise UsageError(
                f"--principal {one} is not ROLE=PRINCIPAL: write one of {', '.join(Role)}, and a "
                "principal as the brokers name it, such as fanout=User:hooklane-fanout."
            )
        found[Role(name)] = principal
    return found


def _right_row(one: Right, principals: Mapping[Role, str]) -> Row:
    return {
        "role": one.role.value,
        "principal": principals[one.role],
        "resource": one.resource.value,
        "name": one.name,
        "pattern": "prefixed" if one.prefixed else "literal",
        "operations": [operation.value for operation in one.operations],
        "why": one.why,
    }


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
