"""What can go wrong while publishing.

PublishError
├── ConfigurationError    a property that Kafka's client refuses, or that would break a promise
├── InvalidEventError     the event cannot be written; nothing was sent
├── QueueFullError        no room in the queue for as long as was allowed; nothing was sent
├── ClosedError           the publisher has been closed; nothing was sent
├── DeliveryError         Kafka did not take the event, or nobody knows whether it did
├── UnfinishedError       events are still on their way when the time for a flush was up
├── UndeliveredError      events failed earlier and nobody had looked: raised by flush and close
├── RegistryError         the schema registry did not say the id of a schema; nothing was sent
├── NoTransactionError    no place to publish, or to begin a transaction; nothing was sent
└── TransactionError
    ├── TransactionAbortedError   none of its events is there for a reader; it may be tried again
    ├── TransactionUnknownError   nobody knows whether all of its events are there, or none
    └── FencedError               another publisher has taken over the transactional id
"""


class PublishError(Exception):
    """Its text is one sentence that names what to change."""


class ConfigurationError(PublishError, ValueError):
    pass


class InvalidEventError(PublishError, ValueError):
    pass


class QueueFullError(PublishError):
    def __init__(self, event_id: str, seconds: float) -> None:
        super().__init__(
            f"the queue had no room for event {event_id} for {seconds:g} s: "
            "Kafka takes events more slowly than they are published"
        )


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


class RegistryError(PublishError):
    pass


class NoTransactionError(PublishError):
    pass


class TransactionError(PublishError):
    pass


class TransactionAbortedError(TransactionError):
    """Do the same again, with the same events, if they are still wanted."""


class TransactionUnknownError(TransactionError):
    """Publish the same events again, with the same ids, and receivers can recognise a repeat."""


class FencedError(TransactionError):
    """This publisher is of no more use: two of one `transactional_id` cannot live side by side."""
