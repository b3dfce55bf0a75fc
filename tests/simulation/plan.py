"""From a seed to what happens: the cast, the events, and the faults, each a step that can go."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from tests.simulation.producer import Flaw
from tests.simulation.receivers import Sickness

HORIZON_S = 12.0
"""No step begins later."""
FANOUTS = ("fanout-1", "fanout-2")
RETRIERS = ("retrier-1", "retrier-2")
PROCESSES = FANOUTS + RETRIERS


class Do(Enum):
    """What a step does; its arguments stand behind."""

    PUBLISH = "publish"  # key, how many
    PUBLISH_ABORTED = "publish in a transaction that is aborted"  # key
    KILL = "kill"  # process, seconds until it comes back, without its spool
    KILL_WITHIN = (
        "kill within a step"  # process, writes or attempts until then, seconds, without its spool
    )
    STOP = "stop"  # process, seconds until it comes back
    FREEZE = "freeze"  # process, seconds
    FREEZE_WITHIN = "freeze within a step"  # process, writes or attempts until then, seconds
    CUT_OFF = "cut off from Kafka"  # process, seconds
    STICK = "stick the poll thread"  # process, seconds
    KAFKA_AWAY = "Kafka is away"  # seconds
    SLOW_MARKERS = "markers are slow"  # seconds
    FLAW = "the next transaction"  # process, Flaw
    REBALANCE = "rebalance"  # which group's processes: fanout or retrier
    SICKEN = "sicken"  # subscription, Sickness, seconds
    COMPACT = "compact"  # topic
    EDIT = "edit"  # subscription, Edit


class Edit(Enum):
    PAUSE = "pause"
    RESUME = "resume"
    URL = "another url"
    ORDERING = "ordering switched"
    DELETE = "delete"
    REPLACE = "delete and make again"


@dataclass(frozen=True, slots=True)
class Step:
    at: float
    do: Do
    arguments: tuple[object, ...] = ()

    def __str__(self) -> str:
        said = [one.value if isinstance(one, Enum) else str(one) for one in self.arguments]
        return f"{self.at:7.3f} {self.do.value} {' '.join(said)}".rstrip()


@dataclass(frozen=True, slots=True)
class Plan:
    """`seed` also draws every latency. `starts`: when each process begins; not named: never."""

    seed: int
    partitions: int
    event_partitions: int
    static: bool
    keys: tuple[str | None, ...]
    subscriptions: tuple[str, ...]
    starts: dict[str, float]
    steps: tuple[Step, ...]
    halting: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        members = "static" if self.static else "dynamic"
        cast = f"{self.event_partitions} event partitions, N = {self.partitions}, {members} members"
        lines = [f"seed {self.seed}: {cast}, subscriptions {', '.join(self.subscriptions)}"]
        lines += [f"{at:7.3f} start {name}" for name, at in self.starts.items()]
        return "\n".join([*lines, *map(str, self.steps)])


_FAULTS: dict[Do, float] = {
    Do.KILL: 3,
    Do.KILL_WITHIN: 4,
    Do.STOP: 2,
    Do.FREEZE: 2,
    Do.FREEZE_WITHIN: 5,
    Do.CUT_OFF: 1,
    Do.STICK: 1,
    Do.KAFKA_AWAY: 0.7,
    Do.SLOW_MARKERS: 1,
    Do.FLAW: 2,
    Do.REBALANCE: 4,
    Do.SICKEN: 4,
    Do.COMPACT: 2,
    Do.EDIT: 2,
}
_THEMES = (
    {Do.REBALANCE, Do.SLOW_MARKERS, Do.SICKEN, Do.EDIT},
    {Do.FREEZE_WITHIN, Do.CUT_OFF, Do.REBALANCE, Do.SICKEN},
    {Do.KILL, Do.KILL_WITHIN, Do.COMPACT, Do.SICKEN},
)
"""Partitions that pass on while markers are late; owners cut off in the middle; spools that go."""
_MEETS_EVENTS = {Do.REBALANCE, Do.KILL_WITHIN, Do.FREEZE_WITHIN, Do.FLAW, Do.STOP}
"""Faults that harm only what is under way."""


def plan_of(seed: int) -> Plan:
    """The same for the same seed, whatever else has changed."""
    rng = random.Random(f"plan/{seed}")
    subscriptions = ("a", "b", "c")[: rng.choice((1, 1, 2, 2, 3))]
    keys: tuple[str | None, ...] = ("k0", "k1", "k2", "k3")[: rng.choice((1, 2, 2, 3, 4))]
    if rng.random() < 0.2:
        keys = (*keys, None)
    # Each seed has some kinds of fault only, so that rare pairs meet often enough.
    theme = rng.choice((None, None, *_THEMES))
    kinds = {
        do: weight
        for do, weight in _FAULTS.items()
        if (rng.random() < 0.6 if theme is None else do in theme)
    }
    starts = dict.fromkeys(("fanout-1", "retrier-1"), 0.0)
    for name in ("fanout-2", "retrier-2"):
        if theme is not None:
            starts[name] = 0.0
        elif rng.random() < 0.75:
            starts[name] = rng.choice((0.0, round(rng.uniform(0, HORIZON_S / 2), 3)))
    steps = [*_events(rng, keys)]
    for name in subscriptions:
        if rng.random() < 0.65:
            sickness = rng.choice((Sickness.FLAKY, Sickness.FLAKY, Sickness.FAILS, Sickness.SLOW))
            seconds = round(rng.uniform(3.0, HORIZON_S), 3)
            steps.append(Step(_time(rng, 4.0), Do.SICKEN, (name, sickness, seconds)))
    for _ in range(rng.choice((0, 2, 4, 6, 8, 10, 12, 16)) if kinds else 0):
        (do,) = rng.choices(list(kinds), list(kinds.values()))
        arguments = partial(_arguments, do, rng, subscriptions, list(starts))
        faults = [*_faults(rng, do, arguments)]
        steps += faults
        if do in _MEETS_EVENTS and rng.random() < 0.7:
            steps += _around(rng, faults[0].at, keys)
    return Plan(
        seed=seed,
        partitions=rng.choice((1, 2, 3)),
        event_partitions=rng.choice((1, 1, 2, 3)),
        static=rng.random() < 0.7,
        keys=keys,
        subscriptions=subscriptions,
        starts=starts,
        steps=tuple(sorted(steps, key=lambda step: step.at)),
        halting=frozenset(one for one in subscriptions if rng.random() < 0.25),
    )


def _events(rng: random.Random, keys: tuple[str | None, ...]) -> Iterator[Step]:
    for _ in range(rng.choice((3, 6, 9, 12, 16))):
        many = rng.choice((1, 1, 2, 3, 4))
        yield Step(_time(rng, until=HORIZON_S * 0.8), Do.PUBLISH, (rng.choice(keys), many))
        if rng.random() < 0.05:
            yield Step(_time(rng), Do.PUBLISH_ABORTED, (rng.choice(keys),))


def _faults(
    rng: random.Random, do: Do, arguments: Callable[[], tuple[object, ...]]
) -> Iterator[Step]:
    """One, or of rebalances a few in a row, each while the one before may not be over yet."""
    at = _time(rng)
    for _ in range(rng.choice((1, 2, 3, 4)) if do is Do.REBALANCE else 1):
        yield Step(at, do, arguments())
        at = round(at + rng.uniform(0.1, 1.0), 3)


def _around(rng: random.Random, at: float, keys: tuple[str | None, ...]) -> Iterator[Step]:
    """Events of one key while it happens and when it is over."""
    key = rng.choice(keys)
    yield Step(
        round(max(0.0, at + rng.uniform(-0.2, 0.6)), 3), Do.PUBLISH, (key, rng.choice((1, 2, 3)))
    )
    yield Step(round(at + rng.uniform(0.8, 2.5), 3), Do.PUBLISH, (key, rng.choice((1, 2))))


def _time(rng: random.Random, until: float = HORIZON_S) -> float:
    return round(rng.uniform(0.0, until), 3)


def _arguments(
    do: Do, rng: random.Random, subscriptions: tuple[str, ...], processes: list[str]
) -> tuple[object, ...]:
    any_process = rng.choice(processes)
    back = rng.choice((0.05, 0.3, 1.0, 4.0, 6.0))
    without_spool = rng.random() < 0.3
    seconds = rng.choice((0.2, 0.5, 1.5, 2.5, 4.5, 6.0))
    table: dict[Do, tuple[object, ...]] = {
        Do.KILL: (any_process, back, without_spool),
        Do.KILL_WITHIN: (any_process, rng.randint(1, 12), back, without_spool),
        Do.STOP: (any_process, back),
        Do.FREEZE: (any_process, seconds),
        Do.FREEZE_WITHIN: (any_process, rng.randint(1, 12), rng.choice((0.5, 4.5, 4.5, 6.0))),
        Do.CUT_OFF: (any_process, seconds),
        Do.STICK: (any_process, seconds),
        Do.KAFKA_AWAY: (rng.choice((0.3, 1.0, 2.5)),),
        Do.SLOW_MARKERS: (rng.choice((1.0, 3.0, 6.0)),),
        Do.REBALANCE: (rng.choice(("fanout", "fanout", "retrier")),),
        Do.FLAW: (any_process, rng.choice(list(Flaw))),
        Do.SICKEN: (rng.choice(subscriptions), rng.choice(list(Sickness)), seconds * 1.5),
        Do.COMPACT: (rng.choice(("backlog", "lanes", "subscriptions")),),
        Do.EDIT: (rng.choice(subscriptions), rng.choice(_EDITS)),
    }
    return table[do]


_EDITS = (
    *(Edit.PAUSE, Edit.PAUSE, Edit.RESUME, Edit.RESUME, Edit.URL, Edit.ORDERING),
    *(Edit.DELETE, Edit.REPLACE),
)
