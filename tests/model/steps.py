"""One step in words, and the state after it."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.cast import Cast
from tests.model.promises import Promises
from tests.model.scene import Scene
from tests.model.world import Cleaner, World


class Step(NamedTuple):
    """`violation` is what the step breaks, `after` the state behind it."""

    text: tuple[str, ...]
    after: World
    violation: str | None = None


Steps = Iterator[Step]


class Stage:
    """What all steps need."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.bounds, self.parts = scene.bounds, scene.parts
        self.catalogue = scene.catalogue
        self.cast = Cast(scene)
        self.cleaner = Cleaner(scene.catalogue)
        self.promises = Promises(scene, self.cast, self.cleaner)

    def name(self, delivery: int) -> str:
        return self.catalogue.lane_name(delivery)

    def texts(self, numbers: tuple[int, ...]) -> str:
        return ", ".join(self.catalogue.about(number).text for number in numbers)

    def starting(self, text: str, world: World, starts: tuple[tuple[int, int], ...]) -> Step:
        """A step in which these attempts start."""
        texts: tuple[str, ...] = (text,)
        violation = None
        for delivery, attempt in starts:
            texts = (*texts, f"attempt {attempt} of {self.name(delivery)} starts")
            violation = violation or self.promises.started(world, delivery, attempt)
        return Step(texts, world, violation)
