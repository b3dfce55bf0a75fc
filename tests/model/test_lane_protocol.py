"""Every run of the lane protocol, with crashes between any two steps, keeps its promises.

The sizes here take about a minute of CPU together; larger ones are run by hand:
`python -m tests.model.explore --help`.
"""

import pytest

from tests.model.explore import Explorer
from tests.model.mended import MENDED
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
    found = Explorer(bounds, MENDED).explore()
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


TO_MEND = {
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


@pytest.mark.xfail(strict=True, reason="the product's own classes, see tests/model/mended.py")
@pytest.mark.parametrize("bounds", TO_MEND.values(), ids=TO_MEND)
def test_the_product_as_it_is(bounds: Bounds) -> None:
    """What `mended` mends is still to be mended in the product: then both go away."""
    violation = Explorer(bounds, Parts()).explore().violation
    assert violation is None, f"\n{violation}"


BY_DESIGN = {
    "a fan-out dies before the dead letter of a refused delivery is committed": Bounds(
        keys="aa", failures=0, refusals=1, retrier_crashes=0
    ),
    "a refused tombstone is written again, and the retrier dies between": Bounds(
        keys="aa", failures=1, fanout_crashes=0, rewrites=1
    ),
    "a refused release is written again behind a higher one": Bounds(
        keys="aaa", failures=1, retrier_crashes=0, rewrites=1
    ),
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
    violation = Explorer(bounds, MENDED).explore().violation
    assert violation is None, f"\n{violation}"
