"""Runs seeds and tells of what breaks a promise: `python -m tests.simulation --help`."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.simulation.parts import Found
from tests.simulation.plan import plan_of
from tests.simulation.shrink import shortened
from tests.simulation.world import run

_CHUNK = 20
_TELL_EVERY = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one seed: what was broken, if anything, and how much happened."""

    seed: int
    broken: str
    attempts: int
    cpu_s: float


def seeds_of(text: str) -> range:
    """`500` is the first five hundred, `500-999` a part, `=1234` one alone.

    Raises:
        ValueError: none of these.
    """
    if text.startswith("="):
        return range(int(text[1:]), int(text[1:]) + 1)
    first, dash, last = text.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))


def look(seeds: Iterable[int]) -> list[Seen]:
    """Run these, without a trace."""
    seen = []
    for seed in seeds:
        began = time.process_time()
        found = run(plan_of(seed))
        broken = "" if found.violation is None else str(found.violation)
        seen.append(Seen(seed, broken, found.attempts, time.process_time() - began))
    return seen


def told(seed: int) -> str:
    """The shortest run from this seed that still breaks the promise, with its trace."""
    found = run(plan_of(seed))
    if found.violation is None:
        return f"seed {seed} keeps every promise"
    found = shortened(found, run)
    found = run(found.plan, keep_trace=True)
    return "\n".join([str(found.violation), "", str(found.plan), "", *_of_interest(found)])


def _of_interest(found: Found) -> list[str]:
    return [line for line in found.trace if "restoring" not in line]


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    seeds = options.seeds
    if len(seeds) == 1:
        text = told(seeds[0])
        print(text)
        return 0 if "keeps every promise" in text else 1
    began = time.monotonic()
    broken: list[Seen] = []
    count, attempts, cpu_s = 0, 0, 0.0
    for seen in _all(seeds, options.processes):
        count, attempts, cpu_s = count + 1, attempts + seen.attempts, cpu_s + seen.cpu_s
        if seen.broken:
            broken.append(seen)
            print(f"seed {seen.seed}: {seen.broken}", flush=True)
        if count % _TELL_EVERY == 0:
            print(f"... {count} seeds, {cpu_s:.0f} s of CPU", flush=True)
    kinds = Counter(seen.broken.partition(":")[0] for seen in broken)
    print(
        f"{count} seeds, {attempts} attempts, {cpu_s:.0f} s of CPU "
        f"({time.monotonic() - began:.0f} s), {len(broken)} broke a promise {dict(kinds) or ''}"
    )
    if broken and options.tell:
        print()
        print(told(broken[0].seed))
    return 1 if broken else 0


def _all(seeds: range, processes: int) -> Iterator[Seen]:
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    if processes == 1:
        for chunk in chunks:
            yield from look(chunk)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting = [pool.submit(look, chunk) for chunk in chunks]
        for one in waiting:
            yield from one.result()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "seeds",
        type=seeds_of,
        help="500 for the first five hundred, 500-999 for a part, =1234 for one with its trace",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--no-tell", dest="tell", action="store_false", help="only the numbers, no trace"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
