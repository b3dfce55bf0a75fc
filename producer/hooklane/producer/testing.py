"""Publishers for a service's own tests: no Kafka, the real encoder, and whatever fails on demand.

@pytest.fixture
def publisher() -> Iterator[MemoryPublisher]:
    with MemoryPublisher(source="/billing") as publisher:
        yield publisher
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaError

from hooklane.producer.aio import BaseAsyncPublisher
from hooklane.producer.encoding import EventEncoder, KeyFunction, Mode, OutgoingRecord, no_key
from hooklane.producer.errors import ClosedError, DeliveryError, TransactionAbortedError
from hooklane.producer.publisher import BasePublisher
from hooklane.producer.reports import Failures, Out
from hooklane.producer.sender import Heard
from hooklane.producer.transactions import Scope
from hooklane.producer.typed import AVRO, WIRE_HEADER, Schemas, schemas_of
from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.cloudevents import CONTENT_TYPE, HEADER_PREFIX
from hooklane.schemas.cloudevents_content_type import essence, is_json, is_text
from hooklane.schemas.decode import decode
from hooklane.schemas.event import NOT_JSON, Event, SourceRecord
from hooklane.schemas.event_types import EventTypes
from hooklane.schemas.single_object import HEADER, MARKER


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as a reader of the topic sees it.

    `data` is what JSON or Avro says, text for text, else bytes. `attributes` are all of the
    CloudEvent's, `headers` the record's further ones, `value` the record's bytes.
    """

    topic: str
    key: str | None
    type: str
    data: object
    id: str
    source: str
    subject: str | None
    content_type: str
    attributes: Mapping[str, str]
    headers: Mapping[str, bytes]
    value: bytes
    offset: int


class _Place(NamedTuple):
    """Kafka's report, as a publisher reads it."""

    number: int

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.number

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class _Memory:
    """The sender that keeps records, and fails as it is told."""

    def __init__(self, schemas: Schemas | None, *, transactional: bool) -> None:
        self.failures = Failures()
        self.out: Out = deque()
        self.scope = Scope() if transactional else None
        self.kept: list[PublishedEvent] = []
        self.failing: list[str] = []
        self.failing_commits = 0
        self.full = False
        self._schemas = schemas
        self._begun = 0
        self._closed = False
        self._offsets: dict[str, int] = {}

    def try_send(self, record: OutgoingRecord, heard: Heard) -> bool:
        self._check_open()
        if self.scope is not None:
            self.scope.check_inside()
        if self.full:
            return False
        offset = self._offsets.get(record.topic, 0)
        self.out.append(None)
        if self.failing:
            heard(KafkaError(getattr(KafkaError, self.failing.pop(0))), _Place(offset))
            return True
        self._offsets[record.topic] = offset + 1
        self.kept.append(_seen(record, offset, self._schemas))
        heard(None, _Place(offset))
        return True

    def failure(self, topic: str, event_id: str, error: KafkaError) -> DeliveryError:
        return DeliveryError(topic, event_id, error.name(), error.str())

    def serve(self, timeout_s: float) -> None:
        """Reports are given at once."""

    def serve_between(self) -> None:
        """Likewise."""

    def attend(self) -> None:
        """Likewise."""

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing is on its way
        self.failures.raise_unseen()

    def close(self, timeout_s: float) -> None:
        if not self._closed:
            self._closed = True
            self.flush(timeout_s)

    def close_forgotten(self) -> None:
        """A test that forgets its publisher has forgotten nothing that matters."""

    def begin(self) -> None:
        self._check_open()
        self._begun = len(self.kept)

    def commit(self) -> None:
        self._check_open()
        if self.failing_commits:
            self.failing_commits -= 1
            self.abort()
            raise TransactionAbortedError(
                "the transaction was aborted, none of its events is there: the test said so"
            )
        self._begun = len(self.kept)

    def abort(self) -> None:
        del self.kept[self._begun :]
        self.failures.forget()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the publisher has been closed: make a new one")


class Recorded:
    """What a publisher of this module has kept, and how it is told to fail."""

    _memory: _Memory

    @property
    def events(self) -> list[PublishedEvent]:
        """Everything that was published, in order; what a transaction aborted is not there."""
        return [*self._memory.kept]

    def published(
        self,
        topic: str | None = None,
        type: str | None = None,  # noqa: A002 - CloudEvents' word
    ) -> list[tuple[str, str | None, object]]:
        """(type, key, data) of each event, to be compared with what was expected."""
        return [
            (one.type, one.key, one.data)
            for one in self._memory.kept
            if topic in (None, one.topic) and type in (None, one.type)
        ]

    def fail_next(self, times: int = 1, code: str = "_MSG_TIMED_OUT") -> None:
        """Let the next events fail with a DeliveryError; `code` is Kafka's name of the error.

        Raises:
            ValueError: Kafka has no such error.
        """
        if not isinstance(getattr(KafkaError, code, None), int):
            raise ValueError(f"Kafka has no error {code!r}")  # noqa: TRY004 - a name, not a type
        self._memory.failing += [code] * times

    def fail_next_commit(self) -> None:
        """Let the next transaction be aborted at its end."""
        self._memory.failing_commits += 1

    @property
    def queue_is_full(self) -> bool:
        """While it is, an event waits for `max_wait_s` and is then a QueueFullError."""
        return self._memory.full

    @queue_is_full.setter
    def queue_is_full(self, full: bool) -> None:
        self._memory.full = full

    def clear(self) -> None:
        """Forget what was published; offsets go on."""
        self._memory.kept.clear()


class MemoryPublisher(BasePublisher, Recorded):
    """`EventPublisher` without Kafka. With `transactional` it publishes in `transaction()` only."""

    def __init__(
        self,
        *,
        source: str | None = None,
        key: KeyFunction = no_key,
        mode: Mode = Mode.BINARY,
        schemas: str | Path | EventTypes | Schemas | None = None,
        transactional: bool = False,
        max_wait_s: float = 0.0,
    ) -> None:
        found = schemas_of(schemas)
        self._memory = _Memory(found, transactional=transactional)
        super().__init__(EventEncoder(source, key, mode, found), self._memory, max_wait_s)


class AsyncMemoryPublisher(BaseAsyncPublisher, Recorded):
    """`AsyncEventPublisher` without Kafka."""

    def __init__(
        self,
        *,
        source: str | None = None,
        key: KeyFunction = no_key,
        mode: Mode = Mode.BINARY,
        schemas: str | Path | EventTypes | Schemas | None = None,
        transactional: bool = False,
        max_wait_s: float = 0.0,
    ) -> None:
        found = schemas_of(schemas)
        self._memory = _Memory(found, transactional=transactional)
        super().__init__(EventEncoder(source, key, mode, found), self._memory, max_wait_s)


def _seen(record: OutgoingRecord, offset: int, schemas: Schemas | None) -> PublishedEvent:
    """As the services read it."""
    event = decode(
        SourceRecord(
            record.topic, "", 0, offset, 0, record.key, record.value, tuple(record.headers)
        )
    )
    assert isinstance(event, Event)  # noqa: S101 - what the encoder wrote is one
    kind = event.attributes["type"]
    return PublishedEvent(
        topic=record.topic,
        key=None if record.key is None else record.key.decode(errors="backslashreplace"),
        type=kind,
        data=_data(event, None if schemas is None else schemas.avro(kind)),
        id=event.attributes["id"],
        source=event.attributes["source"],
        subject=event.attributes.get("subject"),
        content_type=event.content_type,
        attributes=dict(event.attributes),
        headers={
            name: value
            for name, value in record.headers
            if not name.startswith(HEADER_PREFIX) and name != CONTENT_TYPE
        },
        value=record.value,
        offset=offset,
    )


def _data(event: Event, avro: AvroSchema | None) -> object:
    if essence(event.content_type) == AVRO and avro is not None:
        start = HEADER if event.data.startswith(MARKER) else WIRE_HEADER
        return avro.decode(event.data, start)
    if is_json(event.content_type):
        document = event.document()
        return event.data or None if document is NOT_JSON else document
    return event.data.decode() if is_text(event.content_type) else event.data
