"""Every run of the lane protocol, with crashes between any two steps, keeps its promises.

The sizes here take less than a minute of CPU together; larger ones are run by `make explore`.
"""

from dataclasses import replace

import pytest

from tests.model.explore import Explorer
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scene import Bounds

SIZES = {
    "three events of one key": (Bounds(), 250_000),
    "a fence that closes": (Bounds(keys="aa", failures=1, fenced=True), 7_000),
    "two keys, and a ledger": (Bounds(keys="aab", failures=1, retrier_crashes=0), 5_000),
    "two subscriptions": (Bounds(keys="aa", subscriptions=2, failures=1, retrier_crashes=0), 5_000),
    "two tiers": (Bounds(keys="aa", failures=2, retries=2), 20_000),
    "transactions that are aborted": (Bounds(keys="aa", failures=1, aborts=1), 5_000),
    "one redirect a transaction": (
        Bounds(failures=1, redirects_at_once=1, retrier_crashes=0),
        4_000,
    ),
    "a subscription that is not read yet": (Bounds(keys="aa", failures=1, unread=True), 9_000),
    "a topic made again": (Bounds(keys="aa", again="a", failures=1, retrier_crashes=0), 4_000),
    "halted, and tried again by an operator": (Bounds(keys="aa", halts=True), 15_000),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("bounds", "states"), SIZES.values(), ids=SIZES)
def test_every_run_keeps_every_promise(bounds: Bounds, states: int) -> None:
    """Promise of order, repeats, attempt counts, durability, and of a way to the good end."""
    found = Explorer(bounds).explore()
    assert found.violation is None, f"\n{found.violation}"
    assert found.complete
    assert found.states > states, "the exploration has become smaller than it was meant to be"


FREE = {
    "a fan-out that was cut off": Bounds(
        keys="aa", failures=1, fanout_crashes=0, retrier_crashes=0, fanout_zombies=1
    ),
    "a retrier that was cut off": Bounds(
        keys="aa", failures=1, fanout_crashes=0, retrier_crashes=0, retrier_zombies=1
    ),
    "crashes of both": Bounds(keys="aa", failures=1),
}


@pytest.mark.parametrize("bounds", FREE.values(), ids=FREE)
def test_what_is_left_out_changes_no_verdict(bounds: Bounds) -> None:
    """With the steps that the explorer's text says lead to nothing new, and that zombies take as
    they like beside their successors, every promise holds as without them."""
    reduced = Explorer(bounds).explore()
    whole = Explorer(replace(bounds, reduced=False)).explore()
    assert whole.violation is None, f"\n{whole.violation}"
    assert (whole.violation, whole.complete) == (reduced.violation, reduced.complete)
    assert whole.states > reduced.states * 2


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_rule_taken_away_is_found_out(mutant: Mutant) -> None:
    """Without the rule some run breaks a promise, and the shortest such run is told."""
    violation = Explorer(mutant.bounds, mutant.parts).explore().violation
    assert violation is not None, "the explorer lets this mutant pass"
    print(violation)
    assert violation.promise.startswith(mutant.promise)


@pytest.mark.parametrize(
    "rule", ["3: redirected with a gap", "9: the release before the tombstone"]
)
def test_what_is_left_out_hides_no_mutant(rule: str) -> None:
    """A mutant is caught for the same promise with the steps that are left out and without."""
    mutant = next(one for one in MUTANTS if one.rule == rule)
    whole = Explorer(replace(mutant.bounds, reduced=False), mutant.parts).explore().violation
    assert whole is not None
    assert whole.promise.startswith(mutant.promise)


FOUND = {
    "a fan-out dies before the dead letter of a refused delivery is committed": Bounds(
        keys="aa", failures=0, refusals=1, retrier_crashes=0
    ),
    "the fan-out's fence closes between a failure and its redirect": Bounds(
        keys="aa", failures=1, fanout_crashes=0, retrier_crashes=0, fenced=True
    ),
    "a release goes out while the retrier restores without its spool": Bounds(
        keys="aaa", failures=1, fanout_crashes=0
    ),
    "a retrier dies while it begins without its spool": Bounds(
        keys="a", failures=1, fanout_crashes=0, retrier_crashes=2
    ),
    "a retrier begins with an older spool": Bounds(
        keys="aa", failures=1, fanout_crashes=0, retrier_crashes=2, two_spools=True
    ),
    "an operator skips a task before the retrier has read it": Bounds(
        keys="aa", failures=1, fanout_crashes=0, halts=True, skips=1
    ),
    "a retrier dies before it has looked after a lane that was resolved without it": Bounds(
        keys="a", failures=1, fanout_crashes=0, skips=1, retrier_crashes=2
    ),
}


@pytest.mark.parametrize("bounds", FOUND.values(), ids=FOUND)
def test_what_was_found_here_stays_mended(bounds: Bounds) -> None:
    """Runs in which earlier decisions broke a promise."""
    violation = Explorer(bounds).explore().violation
    assert violation is None, f"\n{violation}"
