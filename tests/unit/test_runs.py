"""Runs as the audit knows them, and how fast one goes."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.ops.run_options import rate_limit
from hooklane.ops.runs import RunBook, RunPace, window_of
from hooklane.runtime.errors import UsageError
from hooklane.schemas.records_operator import AuditRecord, AuditState

BEGUN, DONE, INTERRUPTED = AuditState.BEGUN, AuditState.DONE, AuditState.INTERRUPTED
ASKED = {"subscription": "a", "since": "2h", "since_ms": "1000", "until_ms": "9000"}


def told(
    run: str, state: AuditState, at_ms: int, selection: Mapping[str, str] = ASKED
) -> AuditRecord:
    return AuditRecord(run, at_ms, "ada", "h", "replay", state, selection=selection)


def test_the_same_command_goes_on_with_the_run_that_was_not_done() -> None:
    """By what was typed: `2h` is another time by now, and the run's own times hold."""
    book = RunBook([told("r", BEGUN, 1), told("r", INTERRUPTED, 2)])
    found = book.unfinished("replay", {**ASKED, "since_ms": "5000", "until_ms": "19000"})
    assert found is not None
    assert (found.id, found.selection, found.begun_ms) == ("r", ASKED, 1)
    assert book.unfinished("dead-letters redrive", ASKED) is None
    assert book.unfinished("replay", {**ASKED, "since": "3h"}) is None
    assert book.unfinished("replay", {**ASKED, "key": "k"}) is None


def test_a_run_that_is_done_is_not_gone_on_with() -> None:
    """Also where a record of it comes late; of two that were cut off the newer one is meant."""
    book = RunBook([told("r", BEGUN, 1), told("r", DONE, 2), told("r", INTERRUPTED, 3)])
    assert book.unfinished("replay", ASKED) is None
    for run, at_ms in (("s", 5), ("t", 4)):
        book.read(told(run, BEGUN, at_ms))
    found = book.unfinished("replay", ASKED)
    assert found is not None
    assert found.id == "s"


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "more", "overlaps"),
    [
        ("1000", "9000", {"since": "1970-01-01T00:00:01Z"}, True),
        ("8999", "20000", {}, True),
        ("9000", "20000", {}, False),
        ("0", "1000", {}, False),
        ("0", "1001", {}, True),
        ("1000", "9000", {"key": "k"}, False),
        ("1000", "9000", {"subscription": "b"}, False),
    ],
)
def test_what_was_done_is_known_by_what_times_meant(
    since_ms: str, until_ms: str, more: Mapping[str, str], overlaps: bool
) -> None:
    """However they were typed: a time that overlaps, of the same subscription, topic and key."""
    book = RunBook([told("r", BEGUN, 1), told("r", DONE, 2), told("s", BEGUN, 3)])
    asked = {**ASKED, "since_ms": since_ms, "until_ms": until_ms, **more}
    found = book.overlapping("replay", asked)
    assert (found is not None and found.id == "r") == overlaps


def test_an_action_of_one_record_is_no_run() -> None:
    """A skip has nothing to go on with; a name that is no run of this command is refused."""
    book = RunBook([told("r", DONE, 1)])
    assert book.overlapping("replay", ASKED) is None
    with pytest.raises(UsageError, match="There is no run r of `hooklane replay`"):
        book.named("r", "replay")


def test_times_of_a_run_are_those_of_its_begin() -> None:
    """In milliseconds, without a bound where none was asked for."""
    assert window_of(ASKED).until_ms == 9000
    assert window_of({}).since_ms is None


@given(st.integers(1, 500), st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_no_run_is_faster_than_its_rate(count: int, batches: list[int]) -> None:
    """Whatever goes together: no second sees more than the rate, but for a last batch."""
    pace, now, gone = RunPace(count, 1.0), 0.0, []
    for size in batches:
        now += pace.wait_s(now)
        assert pace.wait_s(now) == 0
        pace.gone(size, now)
        gone.append((now, size))
    for begin, _ in gone:
        within = [size for at, size in gone if begin <= at < begin + 1 - 1e-9]
        assert sum(within[:-1]) <= count


@pytest.mark.parametrize(("count", "at_once"), [(1, 1), (4, 1), (100, 25), (1000, 250)])
def test_a_batch_is_a_quarter_of_a_second(count: int, at_once: int) -> None:
    """So that a rate looks even, and Ctrl-C is heard soon."""
    assert RunPace(count, 1.0).at_once == at_once


def test_a_rate_that_is_none_is_one_sentence() -> None:
    """It says how one is written."""
    assert rate_limit(None) is None
    with pytest.raises(UsageError, match=r"--rate .*write it like 100/s"):
        rate_limit("fast")
