"""What a service counts, by the names that dashboards rely on (DESIGN section 7).

    metrics = Metrics(Service.FANOUT)
    metrics.events[EventOutcome.MATCHED].inc()
    metrics.attempted("billing", AttemptOutcome.DELIVERED, 0.012)

Every label value comes from a closed enum and its child is bound once; subscriptions have labels up
to a number (metrics_subscriptions), event partitions while they are owned. Each `Metrics` has a
registry of its own: tests and two services in one process do not meet.
"""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from hooklane.runtime.metrics_hot import HotCounter, HotGauge, HotHistogram
from hooklane.runtime.metrics_restore import RestoreMetrics
from hooklane.runtime.metrics_subscriptions import SubscriptionMetrics
from hooklane.schemas.records import AttemptOutcome
from hooklane.schemas.version import __version__

E = TypeVar("E", bound=StrEnum)

_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
_AGE_S = (*_LATENCY_S, 300, 1800, 7200, 18_000, 36_000, 86_400)
_TRANSACTION_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Service(StrEnum):
    FANOUT = "fanout"
    RETRIER = "retrier"


class EventOutcome(StrEnum):
    """What an event of an event topic turned out to be."""

    MATCHED = "matched"
    """At least one subscription wants it."""
    UNMATCHED = "unmatched"
    UNREADABLE = "unreadable"
    """It is in the dead letters."""


class FetchOutcome(StrEnum):
    """What the schema registry said."""

    FOUND = "found"
    MISSING = "missing"
    """It has no such schema."""
    FAILED = "failed"
    """It did not answer; it is asked again."""


class TransactionOutcome(StrEnum):
    """How a transaction of the fan-out ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    """Nothing of it is visible; the same content comes again."""
    FENCED = "fenced"
    """Another owner has the partition or the transactional id."""
    UNKNOWN = "unknown"
    """Nobody can say whether it was committed."""


class SpanOutcome(StrEnum):
    """What became of a span that was recorded."""

    SENT = "sent"
    LOST = "lost"
    """The collector did not take it in time."""


class Metrics:
    """All metrics of one process. `labelled`: subscriptions that get a label of their own."""

    def __init__(self, service: Service, labelled: int = 100) -> None:
        self.registry = registry = process_registry()
        self._of_events(registry)
        self._of_deliveries(registry, service)
        self._of_transactions(registry)
        self._of_backlog(registry)
        self.by_subscription = SubscriptionMetrics(labelled, registry)
        self.restores = RestoreMetrics(registry)
        self._spans = _by(
            Counter("hooklane_spans_total", "Spans of traces.", ("outcome",), registry=registry),
            SpanOutcome,
        )

    def _of_events(self, registry: CollectorRegistry) -> None:
        self.events = HotCounter("hooklane_events_total", "Events read.", EventOutcome, registry).by
        self.dropped_attributes = Counter(
            "hooklane_dropped_attributes_total",
            "CloudEvents attributes dropped because they cannot be read or sent.",
            registry=registry,
        )
        self.expired_events = Counter(
            "hooklane_expired_events_total",
            "Events that retention took before they were read.",
            registry=registry,
        )
        self.invalid_events = Counter(
            "hooklane_invalid_events_total",
            "Events whose data does not fit their type's schema.",
            registry=registry,
        )
        self.schema_waits = Gauge(
            "hooklane_schema_waiting_partitions",
            "Event partitions that wait for a schema of the registry.",
            registry=registry,
        )
        self.schema_fetches = _by(
            Counter(
                "hooklane_schema_fetches_total",
                "Schemas asked of the registry.",
                ("outcome",),
                registry=registry,
            ),
            FetchOutcome,
        )
        self._window = Gauge(
            "hooklane_window_events",
            "Unsettled events held, by event partition.",
            ("topic", "partition"),
            registry=registry,
        )
        self._lag = Gauge(
            "hooklane_lag_events",
            "Offsets between the first unsettled event of an event partition and its end.",
            ("topic", "partition"),
            registry=registry,
        )
        self.subscriptions = Gauge(
            "hooklane_subscriptions", "Subscriptions in force.", registry=registry
        )
        self.bad_subscriptions = Gauge(
            "hooklane_bad_subscriptions",
            "Subscriptions whose newest document cannot be taken.",
            registry=registry,
        )

    def _of_deliveries(self, registry: CollectorRegistry, service: Service) -> None:
        self.attempts = HotCounter(
            "hooklane_delivery_attempts_total",
            "HTTP attempts that ended.",
            AttemptOutcome,
            registry,
            {"service": service},
        ).by
        self.attempt_duration = HotHistogram(
            "hooklane_delivery_attempt_duration_seconds",
            "How long an attempt took.",
            _LATENCY_S,
            registry,
        )
        self.delivery_latency = HotHistogram(
            "hooklane_delivery_latency_seconds",
            "From the event's timestamp in Kafka to the 2xx.",
            _AGE_S,
            registry,
        )
        self.attempts_in_flight = HotGauge(
            "hooklane_attempts_in_flight", "Attempts under way.", registry
        )
        self.oldest_undelivered = Gauge(
            "hooklane_oldest_undelivered_seconds",
            "Age of the oldest event that this process holds and that is not settled.",
            registry=registry,
        )
        self.dead_letters = Counter(
            "hooklane_dead_letters_total", "Deliveries given up.", registry=registry
        )
        self.circuits_open = Gauge(
            "hooklane_circuits_open",
            "Origins that are not tried for now, since they keep failing.",
            registry=registry,
        )
        self._progress = Gauge(
            "hooklane_last_progress_timestamp_seconds",
            "When this process last wrote to Kafka what became of a delivery, or its start.",
            registry=registry,
        )
        self._progress.set(time.time())

    def _of_transactions(self, registry: CollectorRegistry) -> None:
        self.redirects = Counter(
            "hooklane_redirects_total",
            "Deliveries put into the backlog instead of being attempted.",
            registry=registry,
        )
        self.lanes_blocked = Gauge(
            "hooklane_lanes_blocked", "Lanes that wait for the retrier.", registry=registry
        )
        self.transactions = _by(
            Counter(
                "hooklane_transactions_total", "Transactions.", ("outcome",), registry=registry
            ),
            TransactionOutcome,
        )
        self.transaction_duration = Histogram(
            "hooklane_transaction_duration_seconds",
            "From a transaction's first record to its commit.",
            buckets=_TRANSACTION_S,
            registry=registry,
        )

    def _of_backlog(self, registry: CollectorRegistry) -> None:
        self.backlog_tasks = Gauge(
            "hooklane_backlog_tasks", "Deliveries that wait in the backlog.", registry=registry
        )
        self.backlog_due_tasks = Gauge(
            "hooklane_backlog_due_tasks",
            "Deliveries of the backlog that could be attempted now, counted up to a number.",
            registry=registry,
        )

        self.lanes_halted = Gauge(
            "hooklane_lanes_halted", "Lanes that wait for an operator.", registry=registry
        )

    def attempted(self, subscription: str, outcome: AttemptOutcome, seconds: float) -> None:
        """An HTTP attempt ended. Called at each delivery."""
        self.attempts[outcome].value += 1
        self.attempt_duration.observe(seconds)
        self.by_subscription.attempted(subscription, outcome, seconds)

    def progressed(self, now_ms: int) -> None:
        """What became of some deliveries is in Kafka now (milliseconds since the epoch)."""
        self._progress.set(now_ms / 1000)

    def lag(self, topic: str, partition: int) -> Gauge:
        """How far an event partition is behind."""
        return self._lag.labels(topic, partition)

    def window(self, topic: str, partition: int) -> Gauge:
        """The gauge of one event partition: keep it while the partition is owned."""
        return self._window.labels(topic, partition)

    def forget_partition(self, topic: str, partition: int) -> None:
        """The partition has been let go: its last values would stay for ever."""
        for gauge in (self._window, self._lag):
            gauge.remove(topic, str(partition))

    def spans_ended(self, outcome: SpanOutcome, count: int) -> None:
        """So many spans went to the collector, or were lost. From any thread."""
        self._spans[outcome].inc(count)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All of it as Prometheus reads it, and the content type, by the `Accept` header."""
        return exposed(self.registry, accept)


def process_registry() -> CollectorRegistry:
    """A registry with what every process tells of itself."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # half of the lines for nothing
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    Gauge("hooklane_build_info", "Always 1.", ("version",), registry=registry).labels(
        __version__
    ).set(1)
    return registry


def exposed(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """A registry as Prometheus reads it, and the content type, by the `Accept` header."""
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _by(counter: Counter, outcomes: type[E]) -> Mapping[E, Counter]:
    """A child for each value, so that all of them show from the start, at nought."""
    return {outcome: counter.labels(outcome) for outcome in outcomes}
