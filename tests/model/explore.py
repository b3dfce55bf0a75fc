"""Every run of the lane protocol that fits some bounds, breadth first.

    python -m tests.model.explore --keys aaa --failures 2 --fanout-crashes 1 --retrier-crashes 1

Steps of both owners and of Kafka are interleaved in every order. The first violation that is
found has a shortest trace. When all states are known, those are looked for that no longer lead to
the good end.

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
- What a reader has passed is kept in its shortest form (`Cleaner`).
- Attempts of an owner that died are forgotten: whatever the receiver makes of them is exempt
  from order, and nobody hears of it.
"""

import argparse
import time
from array import array
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from tests.model.fanout_steps import FanOutSteps
from tests.model.retrier_steps import NONE_LATE, RetrierSteps
from tests.model.scene import Bounds, Late, Parts, Scene
from tests.model.steps import Stage, Steps
from tests.model.world import RetrierState, World, stable


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
        self.numbers: dict[World, int] = {}
        self.parents = array("l")
        self.good = array("l")
        self._from = array("l")
        self._to = array("l")

    def add(self, world: World, parent: int) -> int:
        number = self.numbers[world] = len(self.parents)
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
        self._stage = Stage(Scene(bounds, parts or Parts()))
        self._fanout = FanOutSteps(self._stage)
        self._retrier = RetrierSteps(self._stage, self._fanout)
        self._bounds = bounds
        self._graph = _Graph()

    def explore(self, most_states: int = 20_000_000) -> Found:
        """Breadth first, until a promise is broken or all states are known."""
        began, graph = time.process_time(), self._graph
        first = self._first()
        graph.add(first, -1)
        waiting, violation = deque([first]), None
        while waiting and violation is None and len(graph.parents) < most_states:
            world = waiting.popleft()
            violation = self._look_around(world, waiting)
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

    def _look_around(self, world: World, waiting: deque[World]) -> Violation | None:
        """Add what can come after this state."""
        graph, promises = self._graph, self._stage.promises
        number = graph.numbers[world]
        for step in self._steps(world):
            if step.violation is not None:
                return Violation(step.violation, (*self._trace(number), ", ".join(step.text)))
            after = self._tidy(step.after)
            known = graph.numbers.get(after)
            if known is None:
                broken = promises.broken(after)
                if broken is not None:
                    return Violation(broken, (*self._trace(number), ", ".join(step.text)))
                known = graph.add(after, number)
                waiting.append(after)
                if promises.is_good_end(after):
                    graph.good.append(known)
            graph.leads(number, known)
        return None

    def _trace(self, number: int) -> tuple[str, ...]:
        """The words of a way, found by going it again."""
        way, worlds = self._graph.way_to(number), list(self._graph.numbers)
        return tuple(
            next(
                ", ".join(step.text)
                for step in self._steps(worlds[before])
                if self._tidy(step.after) == worlds[after]
            )
            for before, after in pairwise(way)
        )

    def _steps(self, world: World) -> Steps:
        yield from self._fanout.of(world)
        yield from self._retrier.of(world)

    def _tidy(self, world: World) -> World:
        """The state that stands for this one: nothing is left to read that changes nobody, and
        what everybody has read is in its shortest form."""
        world = self._retrier.passed_over(self._fanout.passed_over(world))
        cleaner = self._stage.cleaner
        behind = world.tail if world.fanout >= 0 else stable(world.lanes)
        lanes, tail = cleaner.tidy(world.lanes, behind)
        backlog, read = cleaner.tidy(world.backlog, world.read)
        if world.retrier_state is RetrierState.DOWN_WITHOUT_SPOOL:
            backlog, read = cleaner.tidy(world.backlog, stable(world.backlog))[0], 0
        tail = tail if world.fanout >= 0 else 0
        is_up = world.retrier_state is RetrierState.UP
        waits = is_up and self._bounds.late is Late.BEFORE_RESTORE
        late = NONE_LATE if waits else world.late
        tidied = (lanes, tail, backlog, read, late)
        if tidied == (world.lanes, world.tail, world.backlog, world.read, world.late):
            return world
        return world._replace(lanes=lanes, tail=tail, backlog=backlog, read=read, late=late)

    def _first(self) -> World:
        deliveries = len(self._stage.catalogue.deliveries)
        never = (-1,) * self._stage.promises.lanes
        bounds = self._bounds
        retrier, _ = self._stage.cast.act(self._retrier.first(), "restore", (), (), 0)
        return World(
            fanout=self._fanout.first(),
            retrier=retrier,
            retrier_state=RetrierState.UP,
            committed=0,
            lanes=(),
            backlog=(),
            tier=(),
            transaction=None,
            tail=0,
            read=0,
            read_tier=0,
            late=NONE_LATE,
            known=0,
            lettered=0,
            last=never,
            top=never,
            floors=(0,) * deliveries,
            failures=bounds.failures,
            refusals=bounds.refusals,
            fanout_crashes=bounds.fanout_crashes,
            retrier_crashes=bounds.retrier_crashes,
            aborts=bounds.aborts,
            rewrites=bounds.rewrites,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    numbers = ("failures", "refusals", "retries", "fanout-crashes", "retrier-crashes", "aborts")
    defaults = Bounds()
    parser.add_argument("--keys", default=defaults.keys, help="a letter an event: its key")
    for name in (*numbers, "rewrites", "subscriptions", "redirects-at-once"):
        field_name = name.replace("-", "_")
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, field_name))
    parser.add_argument("--fenced", action="store_true")
    parser.add_argument("--late", type=Late, choices=list(Late), default=defaults.late)
    given = vars(parser.parse_args())
    parts = Parts()
    found = Explorer(Bounds(**given), parts).explore()
    print(found.violation or "Every promise holds.")
    print(
        f"{found.states} states, {found.transitions} transitions, {found.good_ends} good ends, "
        f"{found.owners} situations of an owner, {found.seconds:.1f} s of CPU"
    )
    raise SystemExit(found.violation is not None)


if __name__ == "__main__":
    main()
