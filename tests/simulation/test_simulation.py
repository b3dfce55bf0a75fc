"""The real services on a simulated outside keep every promise, whatever goes wrong.

Many more seeds are run by hand: `make simulate SEEDS=5000`. A failure here names its seed;
`make simulate SEEDS==1234` tells the shortest run from it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import seeds_of, told
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.parts import Found
from tests.simulation.plan import plan_of
from tests.simulation.shrink import shortened
from tests.simulation.world import run

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 300
CHUNK = 20
SEARCHED = 300
"""Seeds that are tried for a mutant when the known ones do not catch it any more."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_seed_keeps_every_promise(first: int) -> None:
    """Order, repeats, attempt counts, due times, durability, and all comes to rest in the end."""
    for seed in range(first, first + CHUNK):
        if run(plan_of(seed)).violation is not None:
            pytest.fail(told(seed))


def digest(seed: int) -> str:
    trace = "\n".join(run(plan_of(seed), keep_trace=True).trace)
    return hashlib.sha256(trace.encode()).hexdigest()


def test_the_same_seed_is_the_same_run() -> None:
    """To the last line of the trace, also in another process with other hashes of texts."""
    seeds = range(3)
    program = f"from {__name__} import digest; print([digest(seed) for seed in {seeds!r}])"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)},
        ).stdout
        for hashes in ("1", "2")
    )
    assert first == second == f"{[digest(seed) for seed in seeds]}\n"


def caught(mutant: Mutant) -> Found | None:
    for seed in (*mutant.seeds, *range(SEARCHED)):
        found = run(mutant.plan(seed), mutant.parts)
        if found.violation is not None:
            return found
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_rule_taken_away_is_found_out(mutant: Mutant) -> None:
    """Without the rule some seed breaks a promise, which the services as they are keep."""
    found = caught(mutant)
    assert found is not None, f"{SEARCHED} seeds let this mutant pass"
    print(found.violation)
    assert run(found.plan).violation is None


def test_a_failing_run_is_made_shorter() -> None:
    """Fewer steps break the same promise, and each step that is left is needed for it."""
    mutant = MUTANTS[0]
    found = caught(mutant)
    assert found is not None
    assert found.violation is not None
    short = shortened(found, lambda plan: run(plan, mutant.parts))
    assert short.violation is not None
    assert short.violation.promise == found.violation.promise
    assert len(short.plan.steps) < len(found.plan.steps)
    again = shortened(short, lambda plan: run(plan, mutant.parts))
    assert again.plan == short.plan


def test_seeds_are_read() -> None:
    """How many, a part, or a single one."""
    assert list(seeds_of("3")) == [0, 1, 2]
    assert list(seeds_of("7-9")) == [7, 8, 9]
    assert list(seeds_of("=12")) == [12]
