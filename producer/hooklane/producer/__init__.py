"""What a publishing service needs: publishers, events, schemas, and what can go wrong."""

from hooklane.producer.aio import AsyncEventPublisher
from hooklane.producer.encoding import Mode
from hooklane.producer.errors import (
    ClosedError,
    ConfigurationError,
    DeliveryError,
    FencedError,
    InvalidEventError,
    NoTransactionError,
    PublishError,
    QueueFullError,
    RegistryError,
    TransactionAbortedError,
    TransactionError,
    TransactionUnknownError,
    UndeliveredError,
    UnfinishedError,
)
from hooklane.producer.event import NewEvent
from hooklane.producer.ports import AsyncPublisher, Publisher
from hooklane.producer.publisher import EventPublisher
from hooklane.producer.registry import (
    SchemaIds,
    SchemaRegistry,
    record_name,
    topic_name,
    topic_record_name,
)
from hooklane.producer.reports import Published, Receipt
from hooklane.producer.typed import Schemas, Validation

__all__ = [
    "AsyncEventPublisher",
    "AsyncPublisher",
    "ClosedError",
    "ConfigurationError",
    "DeliveryError",
    "EventPublisher",
    "FencedError",
    "InvalidEventError",
    "Mode",
    "NewEvent",
    "NoTransactionError",
    "PublishError",
    "Published",
    "Publisher",
    "QueueFullError",
    "Receipt",
    "RegistryError",
    "SchemaIds",
    "SchemaRegistry",
    "Schemas",
    "TransactionAbortedError",
    "TransactionError",
    "TransactionUnknownError",
    "UndeliveredError",
    "UnfinishedError",
    "Validation",
    "record_name",
    "topic_name",
    "topic_record_name",
]
