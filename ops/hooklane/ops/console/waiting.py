"""The lanes of which deliveries wait, as one look at the backlog finds them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from hooklane.ops.lanes_read import LaneFinder
from hooklane.ops.lanes_view import TaskFacts, WaitingLane
from hooklane.ops.log_reader import LogReader
from hooklane.ops.output import heard_by
from hooklane.runtime.settings import Settings
from hooklane.schemas.lane import LaneId

MOST_LANES: Final = 20_000
"""Lanes whose first tasks are looked at, by a look: about 1 KB each while it lasts."""
_LAST_ERRORS: Final = 10_000
"""The newest attempts of a partition that are looked through for last errors."""


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits of a subscription. `oldest_ms`: the time of its oldest event that waits."""

    lanes: int
    tasks: int
    halted: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """`lanes`: with tickets and last errors; `all_lanes` and `tasks` count also those that were too
    many to look at. `notices`: what the reading had to say."""

    lanes: Sequence[WaitingLane]
    all_lanes: int
    tasks: int
    notices: Sequence[str] = ()
    by_subscription: dict[str, Waits] = field(default_factory=dict)

    @property
    def is_cut(self) -> bool:
        return self.all_lanes > len(self.lanes)


def read_backlog(reader: LogReader, settings: Settings) -> Backlog:
    """Everything that waits now.

    Raises:
        BrokerError: Kafka does not answer.
    """
    notices: list[str] = []
    with heard_by(notices.append):
        finder = LaneFinder(reader, settings.topic_names, settings.retry.tiers)
        index = finder.all()
        chosen: list[LaneId] = list(islice(index.lanes, MOST_LANES))
        lanes = finder.lanes(index, chosen, tasks=1)
        finder.add_tickets(lanes)
        finder.add_last_attempts(lanes, _LAST_ERRORS)
    tasks = sum(map(len, index.lanes.values()))
    return Backlog(lanes, len(index.lanes), tasks, notices, waits_of(lanes))


def waits_of(lanes: Iterable[WaitingLane]) -> dict[str, Waits]:
    """By subscription; what cannot be read is of none. Pure."""
    counts: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    halted: Counter[str] = Counter()
    oldest: dict[str, int] = {}
    for lane in lanes:
        facts = lane.first
        if not isinstance(facts, TaskFacts):
            continue
        name = facts.subscription
        counts[name] += 1
        tasks[name] += lane.depth
        halted[name] += lane.halted
        if facts.timestamp_ms >= 0:
            oldest[name] = min(facts.timestamp_ms, oldest.get(name, facts.timestamp_ms))
    return {
        name: Waits(count, tasks[name], halted[name], oldest.get(name))
        for name, count in counts.items()
    }
