"""What the outbox relay counts and says, and whether it is ready."""

import time
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from hooklane.producer.outbox.desk import Bad
from hooklane.producer.outbox.row import Row
from hooklane.runtime.log_quota import LogQuota
from hooklane.runtime.metrics import exposed, process_registry

log = structlog.get_logger(__name__)

_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_NOT_REACHED: Final = "PostgreSQL has not been reached"


class OutboxMetrics:
    """Told by the relay; shown by the health server."""

    def __init__(self) -> None:
        self._registry = registry = process_registry()
        self._began = False
        self._quota = LogQuota()
        self._connected = Gauge(
            "hooklane_outbox_connected",
            "Whether there is a session with PostgreSQL.",
            registry=registry,
        )
        self._buckets = Gauge(
            "hooklane_outbox_buckets", "Buckets that this relay has.", registry=registry
        )
        self._published = Counter(
            "hooklane_outbox_published_total",
            "Rows that are in Kafka, repeats among them.",
            registry=registry,
        )
        self._bad = Counter(
            "hooklane_outbox_bad_rows_total",
            "Times that a row could not be published for itself or its topic.",
            ("outcome",),
            registry=registry,
        )
        self._unsure = Counter(
            "hooklane_outbox_uncertain_transactions_total",
            "Transactions that were undone, or whose end nobody knows: their rows come again.",
            registry=registry,
        )
        self._held = Gauge(
            "hooklane_outbox_held", "Keys and topics that wait for somebody.", registry=registry
        )
        self._waiting = Gauge(
            "hooklane_outbox_rows",
            "Rows of the table that are not published, counted up to 10,000 now and then.",
            registry=registry,
        )
        self._oldest = Gauge(
            "hooklane_outbox_oldest_row_seconds",
            "Age of the oldest of them, where a column holds the time.",
            registry=registry,
        )
        self._latency = Histogram(
            "hooklane_outbox_latency_seconds",
            "From a row's time to its commit in Kafka, where a column holds the time.",
            buckets=_LATENCY_S,
            registry=registry,
        )
        for outcome in ("waits", "skipped"):
            self._bad.labels(outcome)

    def missing(self) -> tuple[str, ...]:
        """What is still waited for; empty if the relay is ready. It stays so."""
        return () if self._began else (_NOT_REACHED,)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """As Prometheus reads it, and the content type."""
        return exposed(self._registry, accept)

    def connected(self, is_connected: bool) -> None:
        self._began |= is_connected
        self._connected.set(is_connected)
        if is_connected:
            log.info("connected to the outbox")

    def buckets(self, owned: int) -> None:
        self._buckets.set(owned)
        log.info("buckets", owned=owned)

    def published(self, rows: Sequence[Row], now: float) -> None:
        """`now`: seconds since the epoch."""
        self._published.inc(len(rows))
        for row in rows:
            if row.time is not None:
                self._latency.observe(max(0.0, now - row.time.timestamp()))

    def bad(self, one: Bad) -> None:
        outcome = "skipped" if one.aside else "waits"
        self._bad.labels(outcome).inc()
        more = self._quota.take("bad", str(one.row.position), time.monotonic())
        if more is not None:
            log.error(
                "a row cannot be published",
                outcome=outcome,
                reason=one.reason,
                id=one.row.id,
                position=one.row.position,
                aggregatetype=one.row.aggregatetype,
                others_not_logged=more,
            )

    def unsure(self) -> None:
        self._unsure.inc()

    def held(self, queues: int) -> None:
        self._held.set(queues)

    def waiting(self, rows: int, oldest_s: float | None) -> None:
        self._waiting.set(rows)
        self._oldest.set(oldest_s or 0.0)
