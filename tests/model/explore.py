"""Every run of the lane protocol that fits some bounds, breadth first.

    make explore                                            the large sizes, one after the other
    make explore EXPLORE_ARGS="--keys aaa --failures 3"     one of your own

Steps of the owners, of those that were cut off, of operators and of Kafka are interleaved in every
order. The first violation that is found has a shortest trace. When all states are known, those are
looked for that no longer lead to the good end.

A state is kept as 120 bytes (`Packer`), and what an owner does is found out once (`Cast`).

What is merged, and why no run is lost by it:

- A restore is one step. Whoever restores does nothing else meanwhile, and what it reads is a
  prefix of logs that only grow; a slower reader is one that restored earlier. (A retrier without
  its spool reads the lanes topic in a step of its own, because the backlog grows in between.)
- While its producer lives, a commit reaches all partitions in one step: nothing that an owner
  does depends on a partition that has not heard yet, but a restore, and that waits for it.
- What changes nobody when it is read is read at once: of the lanes topic all but releases, and
  tombstones and tickets that the retrier knows already. It would change nobody later either, but
  that a used-up ticket of a resolved task would lie about as a stray.
- A transaction is written and ended in one step, or written and left by a crash: what its owner
  does in between is the same before or after, and nobody else sees the difference.
- The retrier's transaction takes any number of the records that wait, from the first on: so one
  that was begun earlier and ends now is a shorter one that is written now.
- What a reader has passed is kept in its shortest form (`Cleaner`).
- Attempts of an owner that died are forgotten: whatever the receiver makes of them is exempt
  from order, and nobody hears of it.

And with `reduced`, which the tests compare with runs without it:

- An owner that was cut off is one that died. What it writes is refused and never visible; what
  it hides meanwhile only makes readers slower, which they may be anyway; what it had begun before
  it was cut off is committed or aborted before its successor restores, as after a death; and what
  it does over HTTP is exempt. Nobody's step depends on it, and its own change nobody.
- A transaction that its owner does not hear of is aborted, which is as if it had not been
  written, or is committed everywhere at once: the only ones who read more than one of its logs
  are owners that restore, and they wait until all of them have heard.

Symmetry is not used: lanes are not alike, since the order of their events in the partition is
what offsets and ledgers are about.
"""

import argparse
import sys
import time
from array import array
from collections import deque
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from tests.model.fanout_steps import FanOutSteps
from tests.model.retrier_steps import RetrierSteps
from tests.model.scene import Bounds, Parts, Scene, Visibility
from tests.model.steps import Stage, Steps
from tests.model.transaction_steps import TransactionSteps
from tests.model.world import NO_TRANSACTIONS, Packer, RetrierState, World, stable
from tests.model.zombie_steps import ZombieSteps


@dataclass(frozen=True, slots=True)
class Violation:
    """What is broken, and the steps that lead to it."""

    promise: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        steps = "\n".join(f"{at:4}. {step}" for at, step in enumerate(self.trace, 1))
        return f"{self.promise}\n{steps}"


@dataclass(slots=True)
class Found:
    """What an exploration found; `complete` means that every state was seen."""

    states: int
    transitions: int
    good_ends: int
    owners: int
    seconds: float
    complete: bool
    violation: Violation | None


class _Graph:
    """The states by number, what leads where, and how each was reached first."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.parents = array("l")
        self.good = array("l")
        self._from = array("l")
        self._to = array("l")

    def add(self, packed: bytes, parent: int) -> int:
        number = self.numbers[packed] = len(self.parents)
        self.parents.append(parent)
        return number

    def leads(self, before: int, after: int) -> None:
        if before != after:
            self._from.append(before)
            self._to.append(after)

    @property
    def transitions(self) -> int:
        return len(self._to)

    def way_to(self, number: int) -> list[int]:
        """The states from the first to this one, by the way on which it was found."""
        way = [number]
        while self.parents[way[-1]] >= 0:
            way.append(self.parents[way[-1]])
        return way[::-1]

    def dead_end(self) -> int | None:
        """The first state from which no good end can be reached."""
        firsts, before = self._by_target()
        alive = bytearray(len(self.parents))
        waiting = list(self.good)
        for number in waiting:
            alive[number] = 1
        while waiting:
            number = waiting.pop()
            for at in range(firsts[number], firsts[number + 1]):
                if not alive[before[at]]:
                    alive[before[at]] = 1
                    waiting.append(before[at])
        found = alive.find(0)
        return None if found < 0 else found

    def _by_target(self) -> "tuple[array[int], array[int]]":
        """All transitions sorted by where they lead: where those to a state begin, and from where
        they come. Plain lists of lists would take most of the memory."""
        firsts = array("l", bytes(8 * (len(self.parents) + 1)))
        for after in self._to:
            firsts[after + 1] += 1
        for number in range(len(self.parents)):
            firsts[number + 1] += firsts[number]
        free, before = array("l", firsts), array("l", bytes(8 * len(self._to)))
        for at, after in zip(self._from, self._to, strict=True):
            before[free[after]] = at
            free[after] += 1
        return firsts, before


class Explorer:
    def __init__(self, bounds: Bounds, parts: Parts | None = None) -> None:
        parts = parts or Parts()
        bounds = bounds if _may_harm(parts, bounds) else _without_zombies(bounds)
        self._stage = Stage(Scene(bounds, parts))
        self._fanout = FanOutSteps(self._stage)
        self._retrier = RetrierSteps(self._stage)
        self._zombies = ZombieSteps(self._stage, self._fanout)
        self._transactions = TransactionSteps(self._stage)
        self._bounds = bounds
        self._graph = _Graph()
        self._packer = Packer()

    def explore(self, most_states: int = 20_000_000) -> Found:
        """Breadth first, until a promise is broken or all states are known."""
        began, graph = time.process_time(), self._graph
        first = self._first()
        packed = self._packer.pack(first)
        graph.add(packed, -1)
        waiting, violation = deque([packed]), None
        while waiting and violation is None and len(graph.parents) < most_states:
            violation = self._look_around(waiting.popleft(), waiting)
        complete = not waiting and violation is None
        if complete and (dead_end := graph.dead_end()) is not None:
            promise = "no dead end: nothing leads out of this"
            violation = Violation(promise, self._trace(dead_end))
        return Found(
            len(graph.parents),
            graph.transitions,
            len(graph.good),
            len(self._stage.cast),
            time.process_time() - began,
            complete,
            violation,
        )

    def _look_around(self, packed: bytes, waiting: deque[bytes]) -> Violation | None:
        """Add what can come after this state."""
        graph, promises = self._graph, self._stage.promises
        number, world = graph.numbers[packed], self._packer.unpack(packed)
        for step in self._steps(world):
            if step.violation is not None:
                return Violation(step.violation, (*self._trace(number), ", ".join(step.text)))
            after = self._tidy(step.after)
            packed = self._packer.pack(after)
            known = graph.numbers.get(packed)
            if known is None:
                broken = promises.broken(after)
                if broken is not None:
                    return Violation(broken, (*self._trace(number), ", ".join(step.text)))
                known = graph.add(packed, number)
                waiting.append(packed)
                if promises.is_good_end(after):
                    graph.good.append(known)
            graph.leads(number, known)
        return None

    def _trace(self, number: int) -> tuple[str, ...]:
        """The words of a way, found by going it again."""
        way, states = self._graph.way_to(number), list(self._graph.numbers)
        return tuple(
            next(
                ", ".join(step.text)
                for step in self._steps(self._packer.unpack(states[before]))
                if self._packer.pack(self._tidy(step.after)) == states[after]
            )
            for before, after in pairwise(way)
        )

    def _steps(self, world: World) -> Steps:
        yield from self._fanout.of(world)
        yield from self._retrier.of(world)
        yield from self._zombies.of(world)
        yield from self._transactions.of(world)

    def _tidy(self, world: World) -> World:
        """The state that stands for this one: nothing is left to read that changes nobody, and
        what everybody has read is in its shortest form."""
        world = self._retrier.passed_over(self._fanout.passed_over(world))
        cleaner, fanout, retrier = self._stage.cleaner, world.cut_fanout, world.cut_retrier
        tail = world.tail if world.fanout >= 0 else stable(world.lanes)
        anew = world.retrier_state is RetrierState.DOWN_WITHOUT_SPOOL
        read = stable(world.backlog) if anew else world.read
        behind = tail if fanout is None else min(tail, fanout.tail)
        lanes, kept = cleaner.tidy(world.lanes, behind)
        if fanout is not None:
            fanout = replace(fanout, tail=fanout.tail - behind + kept)
        tail = tail - behind + kept if world.fanout >= 0 else 0
        aside = world.aside
        behind = min(read, *(one.read for one in (retrier, aside) if one is not None), read)
        backlog, kept = cleaner.tidy(world.backlog, behind)
        if retrier is not None:
            retrier = replace(retrier, read=retrier.read - behind + kept)
        if aside is not None:
            aside = replace(aside, read=aside.read - behind + kept)
        read = 0 if anew else read - behind + kept
        if (lanes, backlog, tail, read) == (*world.logs[:2], world.tail, world.read):
            return world
        return world._replace(
            tail=tail,
            read=read,
            logs=(lanes, backlog, *world.tiers),
            cut_fanout=fanout,
            cut_retrier=retrier,
            aside=aside,
        )

    def _first(self) -> World:
        deliveries = len(self._stage.catalogue.deliveries)
        never = (-1,) * self._stage.promises.lanes
        bounds = self._bounds
        start = ((), ((), ()), (0, 0))
        retrier, _ = self._stage.cast.act(self._retrier.first(), "restore", *start)
        return World(
            fanout=self._fanout.first(),
            retrier=retrier,
            retrier_state=RetrierState.UP,
            cut_fanout=None,
            cut_retrier=None,
            aside=None,
            committed=0,
            logs=((), (), (), ()),
            transactions=NO_TRANSACTIONS,
            tail=0,
            read=0,
            read_tiers=(0, 0),
            loose=(),
            known=0,
            lettered=0,
            void=0,
            belated=0,
            last=never,
            top=never,
            floors=(0,) * deliveries,
            era=0,
            failures=bounds.failures,
            refusals=bounds.refusals,
            fanout_crashes=bounds.fanout_crashes,
            retrier_crashes=bounds.retrier_crashes,
            fanout_zombies=bounds.fanout_zombies,
            retrier_zombies=bounds.retrier_zombies,
            aborts=bounds.aborts,
            skips=bounds.skips,
        )


def _may_harm(parts: Parts, bounds: Bounds) -> bool:
    """Whether an owner that was cut off can be told from one that died."""
    refused = (
        parts.generation_is_checked
        and parts.visibility is Visibility.TRANSACTION
        and parts.retrier_visibility is Visibility.TRANSACTION
    )
    return not (bounds.reduced and refused)


def _without_zombies(bounds: Bounds) -> Bounds:
    return replace(
        bounds,
        fanout_crashes=bounds.fanout_crashes + bounds.fanout_zombies,
        retrier_crashes=bounds.retrier_crashes + bounds.retrier_zombies,
        fanout_zombies=0,
        retrier_zombies=0,
    )


LARGE = (
    Bounds(failures=3, fanout_crashes=2, fanout_zombies=1, retrier_crashes=0),
    Bounds(keys="abab", failures=1),
    Bounds(failures=3, fanout_crashes=2, retrier_crashes=2),
    Bounds(keys="aa", failures=3, retries=2, fanout_crashes=2, retrier_crashes=2),
    Bounds(keys="aa", failures=2, halts=True, skips=1, two_spools=True, retrier_crashes=2),
    Bounds(
        keys="aa",
        failures=1,
        reduced=False,
        fanout_crashes=0,
        retrier_crashes=0,
        fanout_zombies=1,
        retrier_zombies=1,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for field in fields(Bounds):
        name, default = f"--{field.name.replace('_', '-')}", field.default
        if isinstance(default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default)
        else:
            parser.add_argument(name, type=type(default), default=default)
    given = Bounds(**vars(parser.parse_args()))
    broken = False
    for bounds in LARGE if given == Bounds() and not sys.argv[1:] else (given,):
        print(_told(bounds), flush=True)
        found = Explorer(bounds).explore()
        broken = broken or not found.complete
        held = "Every promise holds" + (
            "." if found.complete else " so far: there are more states."
        )
        print(found.violation or held)
        print(
            f"{found.states} states, {found.transitions} transitions, {found.good_ends} good "
            f"ends, {found.owners} situations of an owner, {found.seconds:.1f} s of CPU",
            flush=True,
        )
    raise SystemExit(broken)


def _told(bounds: Bounds) -> str:
    """Bounds as the arguments that ask for them."""
    words = []
    for field in fields(Bounds):
        value, name = getattr(bounds, field.name), field.name.replace("_", "-")
        if isinstance(value, bool):
            words += [f"--{name}"] if value else []
        elif value != "":
            words.append(f"--{name} {value}")
    return " ".join(words)


if __name__ == "__main__":
    main()
