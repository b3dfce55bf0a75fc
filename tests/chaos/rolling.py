"""A rolling upgrade: one process after the other ends by SIGTERM and comes back under its name.

`python -m tests.chaos.rolling --rounds 10`, or `make rolling ROUNDS=10`; see docs/testing.md.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from tests.chaos.receivers import CLEAR_ANSWERS
from tests.chaos.stage import Stage, stage, until
from tests.kafka.broker import Kafka, SingleBroker
from tests.kafka.fetch import KafkaUnavailableError, ensure_jars
from tests.kafka.records import quiet
from tests.support.order import Verdict
from tests.support.processes import ServiceProcess

SUBSCRIPTIONS = ("steady", "moody", "sick")
_NAMES = ("one", "two")
_SESSION = {"KAFKA__SESSION_TIMEOUT": "30s"}
"""The chart's: a pod that takes long to come back is not given up."""
_ASKED_S = 15.0

Holders = Mapping[tuple[str, int], str]
"""By partition the process that owns it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One process was replaced. `ended_s`: from SIGTERM to its end; `ready_s`: from its start until
    `/readyz` says so; `moved`: partitions that have another owner than before."""

    name: str
    ended_s: float
    ready_s: float
    moved: int


@dataclass(frozen=True, slots=True)
class Rolled:
    """What came of all rounds."""

    rounds: int
    events: int
    attempts: int
    verdict: Verdict
    turns: tuple[Turn, ...]
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def moved(self) -> int:
        return sum(turn.moved for turn in self.turns)

    @property
    def holds(self) -> bool:
        """SIGTERM neither loses nor repeats, and a static member comes back to what it had."""
        verdict = self.verdict
        return verdict.in_order_and_complete and verdict.repeats == 0 and self.moved == 0

    def text(self) -> str:
        verdict = self.verdict
        return "\n".join(
            [
                f"rounds {self.rounds}, ends by SIGTERM {len(self.turns)}",
                f"events {self.events}, attempts {self.attempts}",
                f"lost {len(verdict.missing)}",
                f"inversions {len(verdict.inversions)}",
                f"repeats {verdict.repeats}",
                f"partitions moved {self.moved}",
                f"from SIGTERM to the end {_times([turn.ended_s for turn in self.turns])}",
                f"from the start to ready {_times([turn.ready_s for turn in self.turns])}",
                *(f"  inversion: {one}" for one in verdict.inversions[:20]),
                *(f"  missing: {one}" for one in sorted(verdict.missing)[:20]),
                *(f"answered: {what}: {times}" for what, times in sorted(self.answers.items())),
            ]
        )


def _times(seconds: list[float]) -> str:
    return f"p50 {median(seconds):.2f} s, at most {max(seconds):.2f} s"


def roll(kafka: Kafka, prefix: str, folder: Path, rounds: int, per_s: float = 60.0) -> Rolled:
    """Two fan-outs and two retriers, each replaced once a round while events flow and receivers
    fail: one after the other of a kind, both kinds side by side, as two StatefulSets roll. Raises
    AssertionError where something does not end, come back or arrive."""
    with (
        stage(kafka, prefix, SUBSCRIPTIONS, per_s=per_s, bad=CLEAR_ANSWERS) as flowing,
        ExitStack() as stack,
    ):
        kinds = [[stack.enter_context(one) for one in kind] for kind in _kinds(flowing, folder)]
        for process in (one for kind in kinds for one in kind):
            process.wait_ready(60.0)
        groups = [_Group(kafka, f"{prefix}-{kind[0].command}", len(kind)) for kind in kinds]
        with ThreadPoolExecutor(len(kinds)) as threads:
            rolls = threads.map(_roll, kinds, groups, [rounds] * len(kinds))
            turns = tuple(turn for found in rolls for turn in found)
        verdict = flowing.finish(unordered=())
        moods, events = flowing.moods, flowing.flow.published
        return Rolled(rounds, events, len(moods.arrivals), verdict, turns, moods.answers)


def _kinds(flowing: Stage, folder: Path) -> list[list[ServiceProcess]]:
    site = flowing.site
    return [
        [site.fanout(name, **_SESSION) for name in _NAMES],
        [site.retrier(name, RETRIER__SPOOL_DIR=str(folder / name), **_SESSION) for name in _NAMES],
    ]


def _roll(kind: Sequence[ServiceProcess], group: "_Group", rounds: int) -> list[Turn]:
    group.wait_shared()
    return [_turn(one, group) for _ in range(rounds) for one in kind]


def _turn(process: ServiceProcess, group: "_Group") -> Turn:
    before, began = group.holders(), time.monotonic()
    assert process.terminate() == 0
    ended = time.monotonic()
    process.start()
    process.wait_ready(60.0)
    ready = time.monotonic()
    after = group.holders()
    moved = sum(after.get(place) != owner for place, owner in before.items())
    return Turn(f"{process.command} {process.name}", ended - began, ready - ended, moved)


class _Group:
    """Who owns what of one group of so many members, as the brokers tell it."""

    def __init__(self, kafka: Kafka, name: str, members: int) -> None:
        self._name = name
        self._members = members
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers}, logger=quiet)

    def wait_shared(self) -> None:
        """Until each member has its part."""
        until(lambda: len(set(self.holders().values())) == self._members, seconds=60.0)

    def holders(self) -> Holders:
        asked = self._admin.describe_consumer_groups([self._name], request_timeout=_ASKED_S)
        return {
            (place.topic, place.partition): str(member.group_instance_id)
            for member in asked[self._name].result(_ASKED_S).members
            for place in member.assignment.topic_partitions
        }


def main() -> int:
    """Print what came of it; 1 where something was lost, turned round, repeated or moved."""
    parser = argparse.ArgumentParser(prog="rolling", description="Rolling upgrades under load.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--per-second", type=float, default=60.0, help="events")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hooklane-rolling-"))
    try:
        broker = SingleBroker(ensure_jars(), folder / "kafka")
    except KafkaUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        rolled = roll(
            broker.start(), f"rolling-{uuid4().hex[:6]}", folder, told.rounds, told.per_second
        )
    finally:
        broker.close()
    print(rolled.text())
    return 0 if rolled.holds else 1


if __name__ == "__main__":
    sys.exit(main())
