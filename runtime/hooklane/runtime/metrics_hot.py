"""Metrics that are written at each delivery, by the event loop alone and so without a lock.

prometheus-client's own take a lock and some checks for each value, 4 µs a delivery for the five
there are; these take a half. It reads them when somebody asks, by its interface for collectors.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

E = TypeVar("E", bound=StrEnum)


class Tally:
    """A number that only rises."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """One more."""
        self.value += 1


class HotCounter(Collector, Generic[E]):
    """Counts by the outcomes of a closed enum, all of which show from the start.

    `fixed` are labels that are the same for all of them, before the label `outcome`.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        outcomes: type[E],
        registry: CollectorRegistry,
        fixed: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._fixed = dict(fixed or {})
        self.by: Mapping[E, Tally] = {outcome: Tally() for outcome in outcomes}
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for."""
        labels = [*self._fixed, "outcome"]
        family = CounterMetricFamily(self._name, self._documentation, labels=labels)
        for outcome, tally in self.by.items():
            family.add_metric([*self._fixed.values(), outcome], tally.value)
        yield family


class HotGauge(Collector):
    """A number that goes up and down."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self.value = 0.0
        registry.register(self)

    def set(self, value: float) -> None:
        """It is this now."""
        self.value = value

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for."""
        yield GaugeMetricFamily(self._name, self._documentation, value=self.value)


class HotHistogram(Collector):
    """How many observations were at most each of `buckets`, and beyond."""

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = list(map(float, buckets))
        self._counts = [0] * (len(buckets) + 1)
        self._exemplars: dict[int, Exemplar] = {}
        self.sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """One more, of this size."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def exemplify(self, value: float, trace_id: str) -> None:
        """Let a trace stand for the observations of its size, the newest for each bucket."""
        place = bisect_left(self._bounds, value)
        self._exemplars[place] = Exemplar({"trace_id": trace_id}, value, time.time())

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for. Exemplars are shown where OpenMetrics is asked for."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = enumerate(zip(names, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(
            self._name,
            self._documentation,
            buckets=[self._bucket(place, name, total) for place, (name, total) in buckets],
            sum_value=self.sum,
        )

    def _bucket(
        self, place: int, name: str, total: int
    ) -> tuple[str, float] | tuple[str, float, Exemplar]:
        exemplar = self._exemplars.get(place)
        return (name, total) if exemplar is None else (name, total, exemplar)
