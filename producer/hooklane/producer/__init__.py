"""What a publishing service needs: publishers, events, and what can go wrong."""

from hooklane.producer.aio import AsyncEventPublisher
from hooklane.producer.encoding import Mode
from hooklane.producer.errors import (
    ClosedError,
    ConfigurationError,
    DeliveryError,
    InvalidEventError,
    PublishError,
    QueueFullError,
    UndeliveredError,
    UnfinishedError,
)
from hooklane.producer.event import NewEvent
from hooklane.producer.publisher import EventPublisher
from hooklane.producer.reports import Published, Receipt

__all__ = [
    "AsyncEventPublisher",
    "ClosedError",
    "ConfigurationError",
    "DeliveryError",
    "EventPublisher",
    "InvalidEventError",
    "Mode",
    "NewEvent",
    "PublishError",
    "Published",
    "QueueFullError",
    "Receipt",
    "UndeliveredError",
    "UnfinishedError",
]
