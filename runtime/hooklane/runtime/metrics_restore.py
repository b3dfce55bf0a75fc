"""How far the restores of partitions are, asked when somebody reads the metrics."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Restores(NamedTuple):
    """Partitions that are being restored, records they still have to read as far as that is known,
    how long the oldest of them has taken so far, and how long the last one took that is done."""

    partitions: int = 0
    records_left: int = 0
    running_s: float = 0.0
    last_s: float = 0.0


class RestoreMetrics(Collector):
    """`facts` says how it is."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.facts: Callable[[], Restores] = Restores
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for."""
        facts = self.facts()
        yield GaugeMetricFamily(
            "hooklane_restoring_partitions",
            "Partitions that are being restored: nothing of them is delivered yet.",
            value=facts.partitions,
        )
        yield GaugeMetricFamily(
            "hooklane_restore_records_left",
            "Records that the partitions under restore still have to read, where that is known.",
            value=facts.records_left,
        )
        yield GaugeMetricFamily(
            "hooklane_restore_running_seconds",
            "How long the oldest restore under way has taken so far.",
            value=facts.running_s,
        )
        yield GaugeMetricFamily(
            "hooklane_restore_seconds",
            "How long the last restore of a partition took.",
            value=facts.last_s,
        )
