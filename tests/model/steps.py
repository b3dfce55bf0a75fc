"""One step in words, and the state after it."""

from collections.abc import Iterator
from typing import NamedTuple

from hooklane.schemas.lane import LaneId
from hooklane.schemas.topics import task_key
from tests.model.cast import Cast
from tests.model.promises import Promises
from tests.model.scene import Log, Scene
from tests.model.world import Cleaner, Numbers, World


class Step(NamedTuple):
    """`violation` is what the step breaks, `after` the state behind it."""

    text: tuple[str, ...]
    after: World
    violation: str | None = None


Steps = Iterator[Step]
Records = tuple[Numbers, ...]
"""Numbers of records, by log."""


class Stage:
    """What all steps need."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.bounds, self.parts = scene.bounds, scene.parts
        self.catalogue = scene.catalogue
        self.cast = Cast(scene)
        self.cleaner = Cleaner(scene.catalogue)
        self.promises = Promises(scene, self.cast, self.cleaner)
        parts = scene.parts
        self.merges_commits = (
            scene.bounds.reduced
            and parts.waits_for_predecessor
            and parts.fanout_restores_to_high_watermark
            and parts.retrier_restores_to_high_watermark
        )
        """Whether a commit that its owner does not hear of reaches all partitions at once."""

    def name(self, delivery: int) -> str:
        return self.catalogue.lane_name(delivery)

    def append(self, world: World, log: Log, number: int) -> tuple[World, str | None]:
        """A record that is visible at once, and what that breaks."""
        if log is Log.LETTERS:
            bit = 1 << self.catalogue.about(number).delivery
            return world._replace(lettered=world.lettered | bit), None
        after = world.with_log(log, (*world.logs[log], number))
        return after, self.promises.written(world, log, number)

    def append_all(self, world: World, records: Records) -> tuple[World, str | None]:
        """Records of each log that become visible together."""
        violation = None
        for log in (Log.LETTERS, Log.LANES, Log.BACKLOG, Log.TIER, Log.LATER_TIER):
            for number in records[log]:
                world, broken = self.append(world, log, number)
                violation = violation or broken
        return world, violation

    def letters(self, records: Records) -> int:
        """A mask of the deliveries whose dead letters these are."""
        about = self.catalogue.about
        return sum({1 << about(number).delivery for number in records[Log.LETTERS]})

    def tombstone(self, lane: LaneId, sequence: int) -> int:
        """The record that resolves a task from outside."""
        return self.catalogue.number(self.catalogue.names.backlog, task_key(lane, sequence), None)

    def texts(self, numbers: tuple[int, ...]) -> str:
        return ", ".join(self.catalogue.about(number).text for number in numbers)

    def starting(self, text: str, world: World, starts: tuple[tuple[int, int], ...]) -> Step:
        """A step in which these attempts start."""
        texts: tuple[str, ...] = (text,)
        violation: str | None = None
        for delivery, attempt in starts:
            texts = (*texts, f"attempt {attempt} of {self.name(delivery)} starts")
            violation = violation or self.promises.started(world, delivery, attempt)
        return Step(texts, world, violation)
