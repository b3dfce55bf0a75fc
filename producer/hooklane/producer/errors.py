"""What can go wrong while publishing.

PublishError
├── ConfigurationError    a property that Kafka's client refuses, or that would break a promise
├── InvalidEventError     the event cannot be written; nothing was sent
├── QueueFullError        no room in the queue for as long as was allowed; nothing was sent
├── ClosedError           the publisher has been closed; nothing was sent
├── DeliveryError         Kafka did not take the event, or nobody knows whether it did
├── UnfinishedError       events are still on their way when the time for a flush was up
└── UndeliveredError      events failed earlier and nobody had looked: raised by flush and close
"""


class PublishError(Exception):
    """Its text is one sentence that names what to change."""


class ConfigurationError(PublishError, ValueError):
    pass


class InvalidEventError(PublishError, ValueError):
    pass


class QueueFullError(PublishError):
    pass


class ClosedError(PublishError):
    pass


class DeliveryError(PublishError):
    """`event_id` names the event, `code` is Kafka's own name of the error.

    Publish the same event again, with the same id, and receivers can recognise the repeat.
    """

    def __init__(self, topic: str, event_id: str, code: str, reason: str) -> None:
        super().__init__(f"event {event_id} for topic {topic} was not delivered: {reason} ({code})")
        self.topic = topic
        self.event_id = event_id
        self.code = code


class UnfinishedError(PublishError):
    """`left` is how many events nobody knows about yet."""

    def __init__(self, left: int, seconds: float) -> None:
        super().__init__(f"{left} events are still on their way after {seconds:g} s")
        self.left = left


class UndeliveredError(PublishError):
    """`errors` holds the first failures, `count` says how many there were in all."""

    def __init__(self, errors: list[DeliveryError], count: int) -> None:
        super().__init__(f"{count} events were not delivered; the first: {errors[0]}")
        self.errors = errors
        self.count = count
