"""`hooklane subscriptions`: who gets which events."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import typer

from hooklane.ops.audit_action import Action, ByOption, WhyOption
from hooklane.ops.command import command_group, explain, settings_of
from hooklane.ops.log_selection import TenantOption
from hooklane.ops.output import (
    OutputFormat,
    OutputOption,
    YesOption,
    confirm,
    notice,
    print_record,
    print_rows,
    printable,
)
from hooklane.ops.subscriptions_files import read_documents
from hooklane.ops.subscriptions_plan import (
    RefusedError,
    Step,
    changed,
    check_quotas,
    diff_text,
    plan_apply,
    plan_prune,
    plan_state,
    prune_text,
    state_word,
    validated,
    yaml_text,
)
from hooklane.ops.subscriptions_rows import (
    COLUMNS,
    show_comments,
    show_record,
    subscription_rows,
)
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.ops.ulid import new_ulid
from hooklane.runtime.errors import HooklaneError, UsageError
from hooklane.runtime.kafka_settings import policy_from, tenants_from
from hooklane.schemas.book import Entry, Finding, SubscriptionBook, status_key
from hooklane.schemas.records_operator import AuditRecord, AuditState
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_parts import State

app = command_group(
    "Who gets which events: apply, diff, list.",
    example="hooklane subscriptions apply -f subscriptions.yaml",
)

FilesOption: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--filename",
        "-f",
        metavar="PATH",
        help="A YAML or JSON file, a folder of them, or - for stdin; can be repeated.",
    ),
]
PruneOption: TypeAlias = Annotated[
    bool, typer.Option("--prune", help="Delete what is in force and in none of the documents.")
]
IdsArgument: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID...", show_default=False)]


@dataclass(frozen=True, slots=True)
class _Doing:
    """What is done with subscriptions, by whom and why: the options of every command that acts."""

    context: typer.Context
    what: str
    by: str | None
    why: str

    def record(self, ids: Sequence[str]) -> AuditRecord:
        """For the audit; `ids` are those that are really changed."""
        action = Action.of(
            self.context,
            f"subscriptions {self.what}",
            self.by,
            self.why,
            subscription=ids[0] if len(ids) == 1 else None,
            selection={"subscriptions": ", ".join(ids)},
        )
        return action.record(AuditState.DONE, time.time_ns() // 1_000_000, count=len(ids))


class DiffError(HooklaneError):
    """`diff` could not compare: 2, since 1 says that something differs."""

    exit_code = 2


@app.command(
    "validate",
    help=explain(
        "Check documents; Kafka is not needed.",
        more="They are judged by the settings of the services: tiers, http URLs, plain secrets, "
        "what tenants may see.",
        example="hooklane subscriptions validate -f subscriptions/",
    ),
)
def validate(context: typer.Context, filename: FilesOption) -> None:
    for one in _given(context, filename):
        _say(f"{one.id} valid")


@app.command(
    "apply",
    help=explain(
        "Create and change subscriptions, all of them or, if one is bad, none.",
        more="A new subscription gets the events from now on; what a document says replaces what "
        "is in force, its state included. With --prune the documents are all that there is.",
        example="hooklane subscriptions apply -f subscriptions/\n"
        "cat one.yaml | hooklane subscriptions apply -f -\n"
        "hooklane subscriptions apply -f subscriptions/ --prune --yes",
    ),
)
def apply(
    context: typer.Context,
    filename: FilesOption,
    prune: PruneOption = False,
    yes: YesOption = False,
    by: ByOption = None,
    why: WhyOption = "",
) -> None:
    topic = ConfigTopic(settings_of(context))
    steps, surplus = _planned(context, topic, filename, prune=prune)
    if surplus:
        names = [entry.id for entry in surplus]
        confirm(f"Delete {', '.join(names)}? What waits for it is discarded.", yes=yes)
    _write(topic, steps, _Doing(context, "apply", by, why))
    for step in steps:
        _say(f"{step.wanted.id} {step.action}")
    _delete(topic, [entry.id for entry in surplus], _Doing(context, "apply --prune", by, why))


@app.command(
    "diff",
    help=explain(
        "Show what `apply` would change.",
        example="hooklane subscriptions diff -f subscriptions/\n"
        "hooklane subscriptions diff -f subscriptions/ --prune",
        exits={0: "nothing differs", 1: "something differs", 2: "failed"},
    ),
)
def diff(context: typer.Context, filename: FilesOption, prune: PruneOption = False) -> None:
    try:
        topic = ConfigTopic(settings_of(context))
        steps, surplus = _planned(context, topic, filename, prune=prune)
    except HooklaneError as error:
        raise DiffError(str(error)) from error
    for step in steps:
        sys.stdout.write(diff_text(step))
    for entry in surplus:
        sys.stdout.write(prune_text(entry))
    if changed(steps) or surplus:
        raise typer.Exit(1)


@app.command(
    "list",
    help=explain(
        "List subscriptions, also bad ones and those that their receiver disabled.",
        example="hooklane subscriptions list --output json\n"
        "hooklane subscriptions list --tenant acme",
    ),
)
def list_subscriptions(
    context: typer.Context, tenant: TenantOption = None, output: OutputOption = OutputFormat.TABLE
) -> None:
    settings = settings_of(context)
    rows = subscription_rows(ConfigTopic(settings).read(), tenants_from(settings))
    print_rows((row for row in rows if tenant in {None, row["tenant"]}), COLUMNS, output)


@app.command(
    "show",
    help=explain(
        "Show one subscription's document and what is known about it.",
        more="Secrets are references; one that stands in the document is shown as `set`.",
        example="hooklane subscriptions show billing-invoices",
    ),
)
def show(
    context: typer.Context,
    subscription: Annotated[str, typer.Argument(metavar="ID", show_default=False)],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    book = ConfigTopic(settings_of(context)).read()
    entry, finding = book.entry(subscription), _finding(book, subscription)
    if entry is None and finding is None:
        raise _unknown([subscription])
    if output is OutputFormat.JSON:
        print_record(show_record(subscription, entry, finding), output)
        return
    for line in show_comments(entry, finding):
        _say(f"# {line}")
    if entry is not None:
        sys.stdout.write(yaml_text(entry.subscription.shown()))


@app.command(
    "pause",
    help=explain(
        "Let deliveries wait in the backlog until `resume`.",
        example="hooklane subscriptions pause billing-invoices",
    ),
)
def pause(
    context: typer.Context, ids: IdsArgument, by: ByOption = None, why: WhyOption = ""
) -> None:
    _set_state(_Doing(context, "pause", by, why), ids, State.PAUSED)


@app.command(
    "resume",
    help=explain(
        "Deliver again, also what waits; also after the receiver answered 410.",
        example="hooklane subscriptions resume billing-invoices",
    ),
)
def resume(
    context: typer.Context, ids: IdsArgument, by: ByOption = None, why: WhyOption = ""
) -> None:
    _set_state(_Doing(context, "resume", by, why), ids, State.ACTIVE)


@app.command(
    "disable",
    help=explain(
        "Discard deliveries, also what waits, until `resume`.",
        example="hooklane subscriptions disable billing-invoices",
    ),
)
def disable(
    context: typer.Context, ids: IdsArgument, by: ByOption = None, why: WhyOption = ""
) -> None:
    _set_state(_Doing(context, "disable", by, why), ids, State.DISABLED)


@app.command(
    "delete",
    help=explain(
        "Delete subscriptions; what waits for them is discarded.",
        more="One that is made again under the same id is another subscription.",
        example="hooklane subscriptions delete billing-invoices --yes",
    ),
)
def delete(
    context: typer.Context,
    ids: IdsArgument,
    yes: YesOption = False,
    by: ByOption = None,
    why: WhyOption = "",
) -> None:
    topic = ConfigTopic(settings_of(context))
    book = topic.read()
    known = {entry.id for entry in book} | {finding.key for finding in book.findings()}
    missing = [one for one in ids if one not in known]
    if missing:
        raise _unknown(missing)
    confirm(f"Delete {', '.join(ids)}? What waits for it is discarded.", yes=yes)
    _delete(topic, dict.fromkeys(ids), _Doing(context, "delete", by, why))


def _delete(topic: ConfigTopic, ids: Iterable[str], doing: _Doing) -> None:
    deleted = list(ids)
    if not deleted:
        return
    audit = doing.record(deleted)
    topic.write([(key, None) for one in deleted for key in (one.encode(), status_key(one))], audit)
    for one in deleted:
        _say(f"{one} deleted")


def _planned(
    context: typer.Context, topic: ConfigTopic, filename: Sequence[str], *, prune: bool
) -> tuple[list[Step], list[Entry]]:
    """What to do with each document, and what is to go."""
    wanted = _given(context, filename)
    now = datetime.now(UTC)
    # Records have times of whole milliseconds.
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    book = topic.read()
    steps = plan_apply(wanted, book, now, new_ulid)
    surplus = plan_prune(wanted, book) if prune else []
    check_quotas(steps, surplus, book, tenants_from(settings_of(context)))
    return steps, surplus


def _given(context: typer.Context, filename: Sequence[str]) -> list[Subscription]:
    settings = settings_of(context)
    try:
        given = read_documents(filename)
        return validated(given, policy_from(settings), tenants_from(settings))
    except RefusedError as error:
        for fault in error.faults:
            notice(fault)
        raise


def _set_state(doing: _Doing, ids: Sequence[str], state: State) -> None:
    topic = ConfigTopic(settings_of(doing.context))
    book = topic.read()
    missing = [one for one in ids if book.entry(one) is None]
    if missing:
        raise _unknown(missing)
    steps = plan_state(_entries(book, ids), state)
    _write(topic, steps, doing)
    for step in steps:
        _say(f"{step.wanted.id} {state_word(step)}")


def _write(topic: ConfigTopic, steps: Sequence[Step], doing: _Doing) -> None:
    wanted = [step.wanted for step in changed(steps)]
    if wanted:
        audit = doing.record([one.id for one in wanted])
        topic.write([one.record() for one in wanted], audit)


def _entries(book: SubscriptionBook, ids: Sequence[str]) -> list[Entry]:
    found = (book.entry(one) for one in dict.fromkeys(ids))
    return [entry for entry in found if entry is not None]


def _finding(book: SubscriptionBook, name: str) -> Finding | None:
    return next((finding for finding in book.findings() if finding.key == name), None)


def _unknown(ids: Sequence[str]) -> UsageError:
    return UsageError(
        f"There is no subscription {', '.join(ids)}: `hooklane subscriptions list` shows them."
    )


def _say(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
