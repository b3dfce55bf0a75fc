"""Dead letters: from a given-up delivery, and cut to what a record can hold. Pure."""

from dataclasses import dataclass, replace

from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetter, DeadLetterReason, DeliveryAttempt

_LETTER_OVERHEAD = 8192
"""Ids, names and numbers of a letter, and the last attempt with its response."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Which delivery is given up, in the words of its task."""

    lane: LaneId
    sequence: int
    webhook_id: str
    subscription: str
    uid: str
    run: str
    group: str
    event: Event


def letter_of(
    delivery: GivenUp,
    reason: DeadLetterReason,
    last: DeliveryAttempt | None,
    attempts: int,
    at_ms: int,
) -> DeadLetter:
    """The dead letter, with the event; `last` is the attempt after which it was given up."""
    event = delivery.event
    return DeadLetter(
        lane=delivery.lane,
        sequence=delivery.sequence,
        webhook_id=delivery.webhook_id,
        subscription=delivery.subscription,
        uid=delivery.uid,
        run=delivery.run,
        group=delivery.group,
        reason=reason,
        detail=last.detail if last is not None else "",
        at_ms=at_ms,
        attempts=attempts,
        last_attempt=last,
        topic=event.topic,
        topic_id=event.topic_id,
        partition=event.partition,
        offset=event.offset,
        timestamp_ms=event.timestamp_ms,
        key=event.key,
        event=event,
    )


def fitting(letter: DeadLetter, max_bytes: int) -> DeadLetter:
    """The letter as it is, or with a reference in place of a payload that does not fit."""
    size = 0 if letter.event is None else event_bytes(letter.event)
    size += len(letter.value or b"")
    size += sum(len(one.name.encode()) + len(one.value or b"") + 8 for one in letter.headers)
    if size + 2 * len(letter.key or b"") + _LETTER_OVERHEAD <= max_bytes:
        return letter
    reference = replace(letter, event=None, value=None, headers=())
    if 2 * len(letter.key or b"") + _LETTER_OVERHEAD <= max_bytes:
        return reference
    # The key stands in the last attempt too, and is as much in the topic as the payload is.
    last = letter.last_attempt
    return replace(
        reference, key=None, last_attempt=None if last is None else replace(last, key=None)
    )


def event_bytes(event: Event) -> int:
    """No less than the event takes in a record; the key stands in it up to three times."""
    texts = (event.topic, event.content_type, event.traceparent or "", event.tracestate or "")
    attributes = sum(
        len(name.encode()) + len(value.encode()) + 16 for name, value in event.attributes.items()
    )
    return (
        len(event.data)
        + 3 * len(event.key or b"")
        + attributes
        + sum(len(text.encode()) for text in texts)
    )
