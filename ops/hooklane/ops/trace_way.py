"""What became of one event for one subscription, from the facts that topics hold. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from hooklane.fanout.match_explain import Objection
from hooklane.ops.lanes_view import TaskFacts, WaitingLane, next_try
from hooklane.ops.log_selection import moment
from hooklane.ops.output import text
from hooklane.schemas.book import Entry
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import AttemptOutcome, DeadLetter, DeliveryAttempt
from hooklane.schemas.subscription_parts import State


class Fate(StrEnum):
    """What became of a delivery."""

    DELIVERED = "delivered"
    WAITS = "waits"
    """In the backlog."""
    DEAD_LETTER = "dead-letter"
    DISCARDED = "discarded"
    """Its subscription is disabled by its operator."""
    NOT_MATCHED = "not-matched"
    NOT_SETTLED = "not-settled"
    """The fan-out has not come to it, or has it in hand."""
    UNKNOWN = "unknown"
    """It is settled, and nothing is on record."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """How far the fan-out's group is in the event's partition. `ahead`: how many offsets before
    the event are not settled; None where nothing was committed yet."""

    group: str
    committed: int | None
    settled: bool
    ahead: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where a task waits: its lane as seen from its first task, and how many come before it."""

    lane: WaitingLane
    before: int


@dataclass(slots=True)
class Way:
    """One event's way to one subscription."""

    entry: Entry
    lane: LaneId
    sequence: int
    webhook_id: str
    objection: Objection | None
    consumed: Consumed
    settled: bool
    """Whether the fan-out is done with it."""
    attempts: list[DeliveryAttempt] = field(default_factory=list)
    letter: DeadLetter | None = None
    waiting: Waiting | None = None

    @property
    def delivered(self) -> DeliveryAttempt | None:
        """The attempt that was accepted, if one was."""
        ok = (one for one in self.attempts if one.outcome is AttemptOutcome.DELIVERED)
        return next(ok, None)

    @property
    def state(self) -> str:
        """Of the subscription: `active`, `paused` or `disabled`."""
        disabled = self.entry.disabled is not None
        return State.DISABLED.value if disabled else self.entry.subscription.state.value


def fate(way: Way) -> Fate:
    """What is on record comes before what documents say now: they may have been others then."""
    if way.delivered is not None:
        return Fate.DELIVERED
    if way.waiting is not None:
        return Fate.WAITS
    if way.letter is not None:
        return Fate.DEAD_LETTER
    if not way.attempts and way.objection is not None:
        return Fate.DISCARDED if way.objection.path == "state" else Fate.NOT_MATCHED
    return Fate.UNKNOWN if way.settled else Fate.NOT_SETTLED


def why(way: Way, now_ms: int) -> str:
    """The same in one line, with what to look at."""
    found = fate(way)
    match found:
        case Fate.DELIVERED:
            return _delivered(way)
        case Fate.WAITS:
            return _waits(way, now_ms)
        case Fate.DEAD_LETTER:
            return _dead(way)
        case Fate.DISCARDED | Fate.NOT_MATCHED:
            return str(way.objection)
        case Fate.NOT_SETTLED:
            return _not_settled(way)
        case Fate.UNKNOWN:
            return _unknown(way.attempts)
        case _:
            assert_never(found)


def _delivered(way: Way) -> str:
    done = way.delivered
    assert done is not None  # noqa: S101 - by its fate
    again = f", in {done.run}" if done.run else ""
    return f"attempt {done.attempt}{again}: {done.detail}"


def _waits(way: Way, now_ms: int) -> str:
    waiting = way.waiting
    assert waiting is not None  # noqa: S101 - by its fate
    lane = waiting.lane
    place, of = "first of its lane", "attempts"
    if waiting.before:
        more = f" and {waiting.before - 1} more" if waiting.before > 1 else ""
        event = f" ({lane.first.event_id})" if isinstance(lane.first, TaskFacts) else ""
        place = f"behind task {lane.first.sequence}{event}{more} of its lane"
        of = "attempts of that task"
    made = "cannot be read" if lane.standing is None else str(lane.standing.attempts)
    last = "" if lane.last is None else f", the last: {lane.last.detail or lane.last.reason}"
    coming = next_try(lane.standing, way.state, now_ms)
    after = "" if coming is None else f"; next: {text(coming)}"
    return f"{place}; {of}: {made}{last}{after}"


def _dead(way: Way) -> str:
    letter = way.letter
    assert letter is not None  # noqa: S101 - by its fate
    said = letter.detail or letter.reason.value
    again = ""
    if way.attempts and way.attempts[-1].started_ms > letter.at_ms:
        last = way.attempts[-1]
        again = (
            f"; delivered again in {last.run or 'its lane'}, attempt {last.attempt}: {last.detail}"
        )
    return f"given up at {text(moment(letter.at_ms))} ({letter.reason.value}): {said}{again}"


def _not_settled(way: Way) -> str:
    consumed = way.consumed
    if consumed.ahead is None:
        return (
            f"group {consumed.group} has committed nothing here: see whether a fan-out runs, and "
            "whether HOOKLANE_FANOUT__GROUP_ID is its own here too"
        )
    if consumed.ahead == 0:
        return "the fan-out is at this event now"
    return f"the fan-out has {consumed.ahead} offsets of its partition to settle before it"


def _unknown(attempts: Sequence[DeliveryAttempt]) -> str:
    if attempts:
        return f"resolved a moment ago, after: {attempts[-1].detail}; look again"
    return (
        "settled without an attempt on record: attempts are kept 7 days, and the document in "
        "force then may have been another one"
    )
