"""What is asked for in a page's address or form, as the commands' options have it. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from hooklane.ops.attempts_view import AttemptSelection
from hooklane.ops.dead_letters_view import LetterId, LetterSelection
from hooklane.ops.lanes_selection import LaneSelection
from hooklane.ops.letter_state import LetterState
from hooklane.ops.log_selection import Window, parse_moment, typed_keys
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records import AttemptOutcome, DeadLetterReason

E = TypeVar("E", bound=StrEnum)

Given = Mapping[str, str]


def given_window(given: Given, default_since: str | None = None) -> Window:
    """Raises UsageError: what is given is no time."""
    now = datetime.now(UTC)
    since, until = text(given, "since") or default_since, text(given, "until")
    found = Window(
        None if since is None else parse_moment("Since", since, now),
        None if until is None else parse_moment("Until", until, now),
    )
    ends = found.since_ms, found.until_ms
    if None not in ends and sorted(ends) != list(ends):  # type: ignore[type-var]
        raise UsageError(f"Since {since} is not before until {until}: exchange them.")
    return found


def attempt_selection(given: Given) -> AttemptSelection:
    """Raises UsageError, as all below: something of it cannot be meant."""
    return AttemptSelection(
        given_window(given),
        text(given, "subscription"),
        typed_keys(text(given, "key")),
        text(given, "event"),
        one_of(AttemptOutcome, given, "outcome"),
    )


def lane_selection(given: Given) -> LaneSelection:
    return LaneSelection(
        text(given, "subscription"),
        typed_keys(text(given, "key")),
        given.get("halted") == "yes",
        max(1, number(given, "depth") or 1),
        text(given, "error"),
    )


def letter_selection(given: Given) -> LetterSelection:
    ids = tuple(map(LetterId.parse, (text(given, "ids") or "").split()))
    return LetterSelection(
        given_window(given),
        text(given, "subscription"),
        typed_keys(text(given, "key")),
        one_of(DeadLetterReason, given, "reason"),
        ids,
    )


def letter_state(given: Given) -> LetterState:
    return one_of(LetterState, given, "state") or LetterState.OPEN


def text(given: Given, name: str) -> str | None:
    """None where nothing was typed."""
    return given.get(name, "").strip() or None


def number(given: Given, name: str) -> int | None:
    found = text(given, name)
    if found is None:
        return None
    if not found.isascii() or not found.isdecimal() or len(found) > 18:
        raise UsageError(f"{name} {found[:40]!r} is no whole number.")
    return int(found)


def one_of(kind: type[E], given: Given, name: str) -> E | None:
    found = text(given, name)
    if found is None:
        return None
    try:
        return kind(found)
    except ValueError:
        raise UsageError(
            f"There is no {name} {found[:40]!r}: take one of {', '.join(kind)}."
        ) from None


def reason(given: Given) -> str:
    """Why something is done: the audit is told."""
    found = text(given, "why")
    if found is None:
        raise UsageError("Say why, for the audit: the field `why` is empty.")
    return found[:500]
