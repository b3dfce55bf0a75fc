"""Every run of the lane protocol, with crashes between any two steps, keeps its promises.

The sizes here take about a minute of CPU together; larger ones are run by hand:
`python -m tests.model.explore --help`.
"""

import pytest

from tests.model.explore import Explorer
from tests.model.mutants import MUTANTS, Mutant
from tests.model.scene import Bounds, Late, Parts

SIZES = {
    "three events of one key": (Bounds(), 500_000),
    "a fence that closes": (Bounds(failures=1, fenced=True), 100_000),
    "two keys, and a ledger": (Bounds(keys="aab", failures=1, retrier_crashes=0), 9_000),
    "two subscriptions": (Bounds(keys="aa", subscriptions=2, failures=1, retrier_crashes=0), 9_000),
    "a schedule of two retries": (Bounds(keys="aa", failures=3, retries=2), 50_000),
    "transactions that are aborted": (Bounds(keys="aa", failures=1, aborts=1), 9_000),
    "one redirect a transaction": (
        Bounds(keys="aaa", failures=1, redirects_at_once=1, retrier_crashes=0),
        5_000,
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("bounds", "states"), SIZES.values(), ids=SIZES)
def test_every_run_keeps_every_promise(bounds: Bounds, states: int) -> None:
    """Order, repeats, attempt counts, durability, and a way to the good end from everywhere."""
    found = Explorer(bounds, Parts()).explore()
    assert found.violation is None, f"\n{found.violation}"
    assert found.complete
    assert found.states > states, "the exploration has become smaller than it was meant to be"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_rule_taken_away_is_found_out(mutant: Mutant) -> None:
    """Without the rule some run breaks a promise, and the shortest such run is told."""
    violation = Explorer(mutant.bounds, mutant.parts).explore().violation
    assert violation is not None, "the explorer lets this mutant pass"
    print(violation)
    assert violation.promise.startswith(mutant.promise)


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
    "a tombstone is refused and written again behind the next one": Bounds(
        keys="aa", failures=1, fanout_crashes=0, retrier_crashes=0, rewrites=1
    ),
    "a retrier dies while it begins without its spool": Bounds(
        keys="a", failures=1, fanout_crashes=0, retrier_crashes=2
    ),
}


@pytest.mark.parametrize("bounds", FOUND.values(), ids=FOUND)
def test_what_was_found_here_stays_mended(bounds: Bounds) -> None:
    """Runs in which earlier decisions broke a promise."""
    violation = Explorer(bounds, Parts()).explore().violation
    assert violation is None, f"\n{violation}"


BY_DESIGN = {
    "a dead retrier's release is written after the next one's": Bounds(
        keys="aa", failures=1, late=Late.RELEASES
    ),
    "a dead retrier's tombstones are written after the next one restored": Bounds(
        keys="aa", failures=1, fanout_crashes=0, late=Late.ALL
    ),
}


@pytest.mark.xfail(strict=True, reason="a question to the design")
@pytest.mark.parametrize("bounds", BY_DESIGN.values(), ids=BY_DESIGN)
def test_what_the_rules_do_not_cover_yet(bounds: Bounds) -> None:
    """Runs that the rules as they are written do not keep the promises in."""
    violation = Explorer(bounds, Parts()).explore().violation
    assert violation is None, f"\n{violation}"
