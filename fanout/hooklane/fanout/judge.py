"""Whether an event's data fits its type's schema, and what follows if it does not."""

from collections.abc import Callable

import structlog

from hooklane.runtime.log_quota import LogQuota
from hooklane.runtime.metrics import Metrics
from hooklane.runtime.settings_sections import Validation
from hooklane.schemas.event import NOT_JSON, Event, Unreadable
from hooklane.schemas.event_types import EventType, EventTypes

log = structlog.get_logger(__name__)


class EventJudge:
    """Judges events whose type has a schema. `monotonic`: seconds."""

    def __init__(
        self,
        types: EventTypes,
        validation: Validation,
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._types = types
        self._refuses = validation is Validation.REFUSE
        self._metrics = metrics
        self._monotonic = monotonic
        self._quota = LogQuota()

    def refusal(self, event: Event) -> Unreadable | None:
        """Why the event is refused; None: it goes on."""
        kind = self._types.get(event.attributes["type"])
        # A tombstone, or an event without data, has nothing that a schema speaks of.
        if kind is None or not event.data:
            return None
        fault = _fault(kind, event)
        if fault is None:
            return None
        self._metrics.invalid_events.inc()
        if self._refuses:
            return Unreadable(f"the data does not fit the schema of {kind.name}: {fault}")
        self._warn(kind.name, event, fault)
        return None

    def _warn(self, kind: str, event: Event, fault: str) -> None:
        unlogged = self._quota.take("event.invalid", kind, self._monotonic())
        if unlogged is not None:
            more = {"unlogged": unlogged} if unlogged else {}
            log.warning(
                "event.invalid",
                type=kind,
                topic=event.topic,
                partition=event.partition,
                offset=event.offset,
                event_id=event.attributes["id"],
                reason=fault,
                **more,
            )


def _fault(kind: EventType, event: Event) -> str | None:
    if event.is_encoded and kind.avro is not None:
        # It is read as this very schema sees it, or cannot be read at all.
        return None
    document = event.document()
    if event.is_encoded and event.unreadable is not None:
        return None
    if document is NOT_JSON:
        return "$: is not JSON"
    faults = kind.faults(document)
    return str(faults[0]) if faults else None
