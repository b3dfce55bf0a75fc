"""`hooklane trace`: one event's way, and why it has not arrived."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import (
    SinceOption,
    SubscriptionOption,
    TenantOption,
    UntilOption,
    Window,
    typed_keys,
    window,
)
from hooklane.ops.output import OutputFormat, OutputOption, notice, print_rows, printable
from hooklane.runtime.errors import HooklaneError, UsageError

if TYPE_CHECKING:
    from hooklane.ops.trace_desk import TraceDesk, Trail
    from hooklane.ops.trace_find import FoundEvent
    from hooklane.ops.trace_way import Way
    from hooklane.schemas.book import Entry

app = single_command()

_USUAL = "24h"
_FIELDS = (
    "event_id, event_type, source, topic, partition, offset, time, key, unreadable (why the record "
    "is no event), dead_letter (its id, where it is none), group, committed, settled, ahead "
    "(offsets before it that are not settled), subscriptions: subscription, tenant, state, fate, "
    "why, objection (path, dialect, wants, has), webhook_id, lane, attempts (the fields of "
    "`hooklane attempts`), waiting (before, depth, first_sequence, first_event_id, "
    "first_attempts, halted, next, last_error), dead_letter (the fields of `dead-letters list`)"
)


class NoSuchEventError(HooklaneError):
    """There is no such event where it was looked for."""


@app.command(
    "trace",
    help=explain(
        "Follow one event: who it was for, what was tried, where it waits.",
        more="EVENT is an event's id or a webhook-id; or give --key for the newest events of a "
        f"key. It is looked for in the last {_USUAL}, unless --since says otherwise. Without "
        "--subscription and --tenant those subscriptions are shown that it is for, or was; with "
        "them also why it is not: by which condition of the document that is in force now.\n\n"
        "Fates: delivered; waits (in the backlog); dead-letter; discarded (disabled by its "
        "operator); not-matched; not-settled (the fan-out has not come to it, or has it in hand); "
        "unknown (settled, and nothing is on record).\n\n"
        f"JSON fields: {_FIELDS}.",
        example="hooklane trace 4f1c2a\n"
        "hooklane trace --key order-1001 --tenant acme\n"
        "hooklane trace --key order-1001 --since 7d --output json",
        exits={0: "found", 1: "not found, or failed", 2: "wrong usage or setting"},
    ),
)
def trace(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    event: Annotated[
        str | None,
        typer.Argument(metavar="EVENT", show_default=False, help="Its id, or a webhook-id."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="The newest events of this key."),
    ] = None,
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="TOPIC", help="Only in this event topic; repeatable."),
    ] = None,
    subscription: SubscriptionOption = None,
    tenant: TenantOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="At most the newest N events.")
    ] = 10,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    if (event is None) == (key is None):
        raise UsageError("Name an EVENT, or give a --key: one of the two.")
    times = window(since or _USUAL, until, datetime.now(UTC))
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.trace_desk import TraceDesk  # noqa: PLC0415

    desk = TraceDesk(settings_of(context), topic or [])
    try:
        entries = _entries(desk, subscription, tenant)
        found = _found(desk, event, key, times, limit)
        trails = desk.trails(found, entries)
    finally:
        desk.close()
    if not found:
        name = event if event is not None else f"of key {key}"
        raise NoSuchEventError(
            f"No event {name} in {', '.join(desk.topics)} since {since or _USUAL}: give an "
            "earlier --since, or another --topic; `hooklane attempts` has what was tried."
        )
    _show(trails, output, chosen=subscription is not None or tenant is not None)


def _found(
    desk: "TraceDesk", event: str | None, key: str | None, times: Window, limit: int
) -> "list[FoundEvent]":
    finder = desk.finder()
    if event is not None:
        return finder.of_id(event, times, limit)
    return finder.of_key(typed_keys(key) or frozenset(), times, limit)


def _entries(desk: "TraceDesk", subscription: str | None, tenant: str | None) -> "list[Entry]":
    book = desk.book()
    entries = [
        entry
        for entry in book
        if subscription in {None, entry.id} and tenant in {None, entry.subscription.tenant}
    ]
    if not entries and (subscription is not None or tenant is not None):
        asked = f"subscription {subscription}" if subscription is not None else f"tenant {tenant}"
        raise UsageError(f"There is no {asked}: `hooklane subscriptions list` shows all.")
    return entries


def _show(trails: "Sequence[Trail]", output: OutputFormat, *, chosen: bool) -> None:
    from hooklane.ops.trace_view import concerned, trail_row  # noqa: PLC0415 - as above

    now_ms = time.time_ns() // 1_000_000
    shown = [(trail, list(trail.ways) if chosen else concerned(trail.ways)) for trail in trails]
    if output is OutputFormat.JSON:
        print_rows((trail_row(trail, ways, now_ms) for trail, ways in shown), (), output)
        return
    for place, (trail, ways) in enumerate(shown):
        if place:
            typer.echo()
        _show_one(trail, ways, now_ms)
    left_out = {way.entry.id for trail in trails for way in trail.ways} - {
        way.entry.id for _, ways in shown for way in ways
    }
    if left_out:
        notice(f"Subscriptions that do not match: {len(left_out)}; --subscription ID says why not.")


def _show_one(trail: "Trail", ways: "Sequence[Way]", now_ms: int) -> None:
    from hooklane.ops.trace_view import (  # noqa: PLC0415 - as above
        ATTEMPT_COLUMNS,
        attempt_rows,
        columns_for,
        headlines,
        table_row,
    )

    for line in headlines(trail):
        typer.echo(printable(line))
    if ways:
        typer.echo()
        print_rows([table_row(way, now_ms) for way in ways], columns_for(ways), OutputFormat.TABLE)
    attempts = attempt_rows(ways)
    if attempts:
        typer.echo()
        print_rows(attempts, ATTEMPT_COLUMNS, OutputFormat.TABLE)
