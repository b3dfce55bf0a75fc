"""What is counted for each subscription, with a label of its own for so many of them.

Subscriptions get their labels in the order in which they come into force, so processes that began
alike label alike; those beyond `most` are one label, `other`, together. One that is deleted gives
its label back, and its counters begin anew should it come again.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hooklane.schemas.book import Entry
from hooklane.schemas.records import AttemptOutcome

OTHER: Final = "other"
_DELIVERED, _FAILED = AttemptOutcome.DELIVERED, AttemptOutcome.FAILED


class _Row:
    __slots__ = ("delivered", "failed", "letters", "refused", "seconds")

    def __init__(self) -> None:
        self.delivered = self.failed = self.refused = self.letters = 0
        self.seconds = 0.0

    def by_outcome(self) -> dict[AttemptOutcome, int]:
        return {
            AttemptOutcome.DELIVERED: self.delivered,
            AttemptOutcome.FAILED: self.failed,
            AttemptOutcome.REFUSED: self.refused,
        }


class SubscriptionMetrics(Collector):
    """`is_open` says whether the circuit of a URL's origin is open."""

    def __init__(self, most: int, registry: CollectorRegistry) -> None:
        self._most = most
        self._rows: dict[str, _Row] = {}
        self._other = _Row()
        self._urls: dict[str, str] = {}
        self._disabled: set[str] = set()
        self.is_open: Callable[[str], bool] = lambda _: False
        registry.register(self)

    def in_force(self, entry: Entry) -> None:
        """A document of the subscription is in force."""
        name = entry.id
        self._urls[name] = entry.subscription.url
        if entry.disabled is None:
            self._disabled.discard(name)
        else:
            self._disabled.add(name)
        if name != OTHER and name not in self._rows and len(self._rows) < self._most:
            self._rows[name] = _Row()

    def gone(self, subscription: str) -> None:
        """It is deleted."""
        self._rows.pop(subscription, None)
        self._urls.pop(subscription, None)
        self._disabled.discard(subscription)

    def attempted(self, subscription: str, outcome: AttemptOutcome, seconds: float) -> None:
        """An attempt ended. Called at each delivery."""
        row = self._rows.get(subscription, self._other)
        row.seconds += seconds
        if outcome is _DELIVERED:
            row.delivered += 1
        elif outcome is _FAILED:
            row.failed += 1
        else:
            row.refused += 1

    def given_up(self, subscription: str | None) -> None:
        """A dead letter was written; None: of a record that is no event."""
        if subscription is not None:
            self._rows.get(subscription, self._other).letters += 1

    def collect(self) -> Iterable[Metric]:
        """What prometheus-client asks for."""
        attempts = CounterMetricFamily(
            "hooklane_subscription_attempts",
            "HTTP attempts that ended.",
            labels=("subscription", "outcome"),
        )
        seconds = CounterMetricFamily(
            "hooklane_subscription_attempt_seconds",
            "How long its attempts took, all together.",
            labels=("subscription",),
        )
        letters = CounterMetricFamily(
            "hooklane_subscription_dead_letters",
            "Deliveries given up.",
            labels=("subscription",),
        )
        circuits = GaugeMetricFamily(
            "hooklane_subscription_circuits_open",
            "Subscriptions whose receiver is not tried for now, since it keeps failing.",
            labels=("subscription",),
        )
        opened = self._open_circuits()
        for name, row in self._all():
            for outcome, count in row.by_outcome().items():
                attempts.add_metric((name, outcome), count)
            seconds.add_metric((name,), row.seconds)
            letters.add_metric((name,), row.letters)
            circuits.add_metric((name,), opened.get(name, 0))
        yield from (attempts, seconds, letters, circuits)
        yield GaugeMetricFamily(
            "hooklane_disabled_subscriptions",
            "Subscriptions that their receivers disabled by a 410.",
            value=len(self._disabled),
        )

    def _all(self) -> Iterator[tuple[str, _Row]]:
        yield from self._rows.items()
        yield OTHER, self._other

    def _open_circuits(self) -> dict[str, int]:
        """How many of each label; with many subscriptions and none open a quick look at each."""
        found: dict[str, int] = {}
        for name, url in self._urls.items():
            if self.is_open(url):
                label = name if name in self._rows else OTHER
                found[label] = found.get(label, 0) + 1
        return found
