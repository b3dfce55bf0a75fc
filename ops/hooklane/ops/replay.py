"""`hooklane replay`: deliver past events again, to one subscription."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from hooklane.ops.audit_action import Action, ByOption, WhyOption
from hooklane.ops.command import explain, settings_of, single_command
from hooklane.ops.log_selection import KeyOption, UntilOption, moment, window
from hooklane.ops.output import OutputFormat, OutputOption, Row, notice, print_record
from hooklane.ops.run_options import DryRunOption, NewIdsOption, RateOption, ended, rate_limit
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.subscription_values import instant_text

if TYPE_CHECKING:
    from hooklane.ops.replay_desk import ReplayDesk
    from hooklane.ops.replay_plan import ReplayCount, ReplaySelection
    from hooklane.ops.run_progress import Stop
    from hooklane.ops.run_writer import RunWriter
    from hooklane.ops.runs import KnownRun, RunBook
    from hooklane.schemas.book import Entry
    from hooklane.schemas.subscription_values import RateLimit

app = single_command()

_NAME = "replay"


@app.command(
    "replay",
    help=explain(
        "Deliver past events again, to one subscription.",
        more="Events of a topic and a time are matched with the subscription's document of now "
        "and go into the backlog, in lanes of a run of their own: in their order within each key, "
        "not against what comes now. Requests keep their webhook-id and carry hooklane-replay: "
        "<run>. They are counted before the first is written. One that was cut off goes on by "
        "--run, or by the same command, where it was; what was replayed is not replayed again "
        "unless told. One replay to a subscription works at a time: another one takes over.\n\n"
        "JSON fields: run (null with --dry-run), state (counted, done, interrupted), "
        "subscription, topic, since, until, events (that were looked at), matched, written, "
        "passed (why and how many).",
        example="hooklane replay -s billing-invoices --topic orders --since 2h --dry-run\n"
        "hooklane replay -s shipping --topic orders --since 2h --until 1h --rate 50/s\n"
        "hooklane replay -s shipping --topic orders --since 1d --key c-42 --why 4711\n"
        "hooklane replay --run 01KB2Q5W3N0V7T9F4C1XJ8R6ZD",
        exits={0: "done", 1: "failed", 2: "wrong usage or setting", 130: "interrupted"},
    ),
)
def replay(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    subscription: Annotated[
        str | None, typer.Option("--subscription", "-s", metavar="ID", help="To this one.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="The event topic.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="From then: 2026-11-01T08:00:00Z, or 2h for two hours ago.",
        ),
    ] = None,
    until: UntilOption = None,
    key: KeyOption = None,
    before_subscription: Annotated[
        bool,
        typer.Option(
            "--before-subscription", help="Also events from before the subscription was made."
        ),
    ] = False,
    new_ids: NewIdsOption = False,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Go on with this run.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed before.")] = False,
    rate: RateOption = None,
    dry_run: DryRunOption = False,
    by: ByOption = None,
    why: WhyOption = "",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    selects = (subscription, topic, since, until, key)
    if run is not None and any(one is not None for one in selects):
        raise UsageError("--run has its selection: leave out what selects, or leave out --run.")
    if run is None and (subscription is None or topic is None or since is None):
        raise UsageError("Give --subscription, --topic and --since, or --run to go on with one.")
    flags = {"before_subscription": before_subscription, "new_ids": new_ids}
    typed = {
        "subscription": subscription,
        "topic": topic,
        "since": since,
        "until": until,
        "key": key,
        **{name: "yes" for name, wanted in flags.items() if wanted},
    }
    acting = Action.of(context, _NAME, by, why, selection=typed)
    limit = rate_limit(rate)
    # librdkafka and the settings are slow to import: `--help` goes without them.
    from hooklane.ops.log_reader import open_reader  # noqa: PLC0415
    from hooklane.ops.replay_desk import ReplayDesk  # noqa: PLC0415
    from hooklane.ops.run_progress import stop_on_signals  # noqa: PLC0415

    settings = settings_of(context)
    with open_reader(settings) as reader, stop_on_signals() as stop:
        desk = ReplayDesk(settings, reader)
        if dry_run:
            _count_only(desk, _prepared(desk, acting, run, again=True), stop, output)
            return
        # First the writer: what an earlier process has done is known only once that is fenced.
        to = subscription if run is None else _unfinished(desk, run).selection["subscription"]
        writer = desk.writer(desk.entry(to or "").id)
        _replay(desk, _prepared(desk, acting, run, again=again), writer, limit, stop, output)


class _Prepared(NamedTuple):
    """A run that may begin, or go on."""

    action: Action
    entry: "Entry"
    selection: "ReplaySelection"
    goes_on: bool


def _prepared(desk: "ReplayDesk", acting: Action, run: str | None, *, again: bool) -> _Prepared:
    """Which run it is, and what it is about.

    Raises:
        UsageError: it cannot be.
    """
    from hooklane.ops.replay_plan import ReplaySelection  # noqa: PLC0415 - as above
    from hooklane.ops.run_desk import gone_on_with  # noqa: PLC0415

    earlier = None if run is None else _unfinished(desk, run)
    entry = desk.entry((earlier or acting).selection["subscription"])
    if earlier is None:
        acting, runs = _absolute(desk, acting, entry), desk.runs.runs()
        earlier = runs.unfinished(_NAME, acting.selection)
        if earlier is None and not again:
            _refuse_twice(runs, acting)
    desk.tell_paused(entry)
    acting = replace(gone_on_with(acting, earlier), subscription=entry.id)
    selection = ReplaySelection.of(acting.selection)
    if selection.uid != entry.uid or selection.topic_id != desk.topic_id(selection.topic):
        raise UsageError(
            f"{entry.id} or {selection.topic} was deleted and made again since run {acting.id} was "
            "begun: begin another one."
        )
    return _Prepared(acting, entry, selection, earlier is not None)


def _absolute(desk: "ReplayDesk", acting: Action, entry: "Entry") -> Action:
    """With what names and times mean now."""
    selection = acting.selection
    now = datetime.now(UTC)
    times = window(selection["since"], selection.get("until"), now)
    now_ms = round(now.timestamp() * 1000)
    # What comes from now on comes by itself.
    until_ms = now_ms if times.until_ms is None else min(times.until_ms, now_ms)
    meant = {
        "uid": entry.uid,
        "topic_id": desk.topic_id(selection["topic"]),
        "since_ms": str(times.since_ms),
        "until_ms": str(until_ms),
    }
    return replace(acting, selection={**selection, **meant})


def _count_only(
    desk: "ReplayDesk", prepared: _Prepared, stop: "Stop", output: OutputFormat
) -> None:
    action, entry, selection, _ = prepared
    counted = desk.count(desk.replay(action.id, entry, selection), desk.spans(selection), stop)
    _tell_count(counted)
    print_record(_row(prepared, None, "counted", counted, 0), output)
    if stop.is_asked():
        ended(AuditState.INTERRUPTED, "not all were counted.")


def _replay(
    desk: "ReplayDesk",
    prepared: _Prepared,
    transactions: "RunWriter",
    limit: "RateLimit | None",
    stop: "Stop",
    output: OutputFormat,
) -> None:
    from hooklane.ops.run_desk import BATCH  # noqa: PLC0415 - as above
    from hooklane.ops.run_progress import Pacer, bar  # noqa: PLC0415

    action, entry, selection, goes_on = prepared
    deciding, spans = desk.replay(action.id, entry, selection), desk.spans(selection)
    writer = desk.writer_of(transactions, action.id)
    if goes_on:
        notice(f"Goes on with run {action.id}, which was not done.")
        spans = desk.left(action.id, spans)
    else:
        writer.write([], {one: span.first for one, span in spans.items()})
    counted = desk.count(deciding, spans, stop)
    _tell_count(counted)
    if stop.is_asked():
        ended(AuditState.INTERRUPTED, "nothing was replayed yet.")
    said = f"{counted.matched} are to be replayed"
    desk.runs.tell(transactions, action, AuditState.BEGUN, counted.matched, said)
    with bar("Replaying", counted.matched) as advance:
        written = desk.write(deciding, spans, writer, Pacer(limit, BATCH), stop, advance)
    state = AuditState.DONE if written.is_all else AuditState.INTERRUPTED
    said = f"{written.count} of {counted.matched} were replayed"
    desk.runs.tell(transactions, action, state, written.count, said)
    print_record(_row(prepared, action.id, state.value, counted, written.count), output)
    ended(state, f"{said}: `hooklane replay --run {action.id}` goes on.")


def _unfinished(desk: "ReplayDesk", run: str) -> "KnownRun":
    found = desk.runs.runs().named(run, _NAME)
    if found.is_done:
        raise UsageError(f"Run {run} is done: there is nothing to go on with.")
    return found


def _refuse_twice(runs: "RunBook", action: Action) -> None:
    from hooklane.ops.runs import window_of  # noqa: PLC0415 - as above

    done = runs.overlapping(_NAME, action.selection)
    if done is None:
        return
    until = moment(window_of(done.selection).until_ms)
    after = "" if until is None else f", or --since {instant_text(until)} for what came after"
    raise UsageError(
        f"Events of this time were replayed by {done.by} as run {done.id}: give --again to deliver "
        f"them once more{after}."
    )


def _row(
    prepared: _Prepared, run: str | None, state: str, counted: "ReplayCount", written: int
) -> Row:
    selection = prepared.selection
    return {
        "run": run,
        "state": state,
        "subscription": selection.subscription,
        "topic": selection.topic,
        "since": moment(selection.window.since_ms),
        "until": moment(selection.window.until_ms),
        "events": counted.events,
        "matched": counted.matched,
        "written": written,
        "passed": {one.value: count for one, count in sorted(counted.passed.items())},
    }


def _tell_count(counted: "ReplayCount") -> None:
    from hooklane.ops.replay_plan import REMEDIES  # noqa: PLC0415 - as above

    notice(f"{counted.matched:,} of {counted.events:,} events are meant.")
    for one, count in sorted(counted.passed.items()):
        if one in REMEDIES:
            notice(f"{count:,} are passed over, {one.value.replace('_', ' ')} ({REMEDIES[one]}).")
