"""Plans for one danger each, over and over: for mutants that plans of all kinds seldom meet."""

import random
from collections.abc import Iterator

from tests.simulation.plan import FANOUTS, HORIZON_S, PROCESSES, RETRIERS, Do, Plan, Step
from tests.simulation.receivers import Sickness

_FAILS = Sickness.FAILS


def handovers(seed: int) -> Plan:
    """Events fail, and their partition passes on at once while markers are late. Then another
    event of the key comes, before the first one is due again."""
    rng = random.Random(f"handovers/{seed}")
    steps = [Step(0.0, Do.SLOW_MARKERS, (HORIZON_S,))]
    at = 1.0
    while at < HORIZON_S - 1.5:
        steps += [
            Step(at - 0.3, Do.SICKEN, ("a", _FAILS, 0.45)),
            Step(at - rng.uniform(0.0, 0.25), Do.PUBLISH, ("k0", 1)),
            Step(at, Do.REBALANCE, ("fanout",)),
            Step(at + 0.05, Do.REBALANCE, ("retrier",)),
            Step(at + rng.uniform(0.25, 0.7), Do.PUBLISH, ("k0", 1)),
        ]
        at += rng.uniform(1.2, 2.0)
    return _plan(seed, steps, static=True)


def zombies(seed: int) -> Plan:
    """A fan-out is frozen in the middle of what it writes, and goes on after its successor."""
    rng = random.Random(f"zombies/{seed}")
    frozen = rng.choice(("fanout-1", "fanout-2"))
    steps = [
        Step(1.0, Do.SICKEN, ("a", _FAILS, rng.uniform(1.0, 2.5))),
        Step(1.1, Do.FREEZE_WITHIN, (frozen, rng.randint(2, 3), 6.0)),
        *_events(rng, 1.2, 3.0, 4),
        *_events(rng, 3.0, HORIZON_S, 6),
    ]
    return _plan(seed, steps, static=rng.random() < 0.5)


def late_writers(seed: int) -> Plan:
    """A retrier is frozen in the middle of what it writes, and goes on after its successor, while
    events of the key fail again."""
    rng = random.Random(f"late/{seed}")
    steps = []
    for at in (1.0, 6.5):
        steps += [
            Step(at, Do.SICKEN, ("a", _FAILS, rng.uniform(0.3, 1.2))),
            *_events(rng, at + 0.05, at + 0.3, 3),
            Step(at + 0.4, Do.FREEZE_WITHIN, (rng.choice(RETRIERS), rng.randint(1, 9), 4.5)),
            *_events(rng, at + 4.0, at + 5.5, 3),
            Step(at + rng.uniform(4.0, 5.2), Do.SICKEN, ("a", _FAILS, 0.5)),
        ]
    return _plan(seed, steps, static=rng.random() < 0.5)


def emptied_lanes(seed: int) -> Plan:
    """The retrier is killed, and its spool with it, while it empties a lane; before it is back
    nothing of that is left in the log."""
    rng = random.Random(f"emptied/{seed}")
    steps = []
    for at in (1.0, 7.0):
        steps += [
            Step(at, Do.SICKEN, ("a", _FAILS, 0.3)),
            Step(at + 0.05, Do.PUBLISH, ("k0", 1)),
            Step(at + 0.1, Do.KILL_WITHIN, ("retrier-1", rng.randint(1, 7), 4.5, True)),
            Step(at + 4.8, Do.COMPACT, ("backlog",)),
        ]
    return _plan(seed, steps, static=True, alone=True)


def returns(seed: int) -> Plan:
    """A retrier comes back late, and gets its partition again after the log was compacted."""
    rng = random.Random(f"returns/{seed}")
    steps = [
        Step(0.8, Do.SICKEN, ("a", _FAILS, 1.5)),
        *_events(rng, 0.9, 1.5, 2),
        Step(rng.uniform(1.6, 2.0), Do.KILL, (rng.choice(("retrier-1", "retrier-2")), 7.5, False)),
        Step(9.8, Do.COMPACT, ("backlog",)),
        Step(10.4, Do.REBALANCE, ("retrier",)),
        Step(11.2, Do.REBALANCE, ("retrier",)),
    ]
    return _plan(seed, steps, static=True)


def given_up(seed: int) -> Plan:
    """A process is told to give its partition up, dies before it joins again, and is soon back
    under its name."""
    rng = random.Random(f"given up/{seed}")
    kind, names = rng.choice((("fanout", FANOUTS), ("retrier", RETRIERS)))
    at = rng.uniform(2.0, 4.0)
    steps = [
        Step(1.0, Do.SICKEN, ("a", _FAILS, 3.0)),
        *_events(rng, 1.1, 6.0, 6),
        Step(at, Do.REBALANCE, (kind,)),
        Step(at + rng.uniform(0.0, 0.7), Do.KILL, (rng.choice(names), 0.5, False)),
    ]
    return _plan(seed, steps, static=True)


def _events(rng: random.Random, first: float, last: float, many: int) -> Iterator[Step]:
    for _ in range(many):
        yield Step(rng.uniform(first, last), Do.PUBLISH, ("k0", 1))


def _plan(seed: int, steps: list[Step], *, static: bool, alone: bool = False) -> Plan:
    return Plan(
        seed=seed,
        partitions=1,
        event_partitions=1,
        static=static,
        keys=("k0",),
        subscriptions=("a",),
        starts=dict.fromkeys(("fanout-1", "retrier-1") if alone else PROCESSES, 0.0),
        steps=tuple(sorted(steps, key=lambda step: step.at)),
    )
