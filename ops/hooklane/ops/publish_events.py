"""The events of a `hooklane publish`: from what was typed or read, to rows of where they are."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hooklane.ops.output import Row
from hooklane.producer import (
    EventPublisher,
    InvalidEventError,
    NewEvent,
    PublishError,
    Receipt,
)
from hooklane.producer.ids import new_id
from hooklane.runtime.errors import BrokerError, UsageError
from hooklane.schemas.cloudevents_content_type import is_json
from hooklane.schemas.event import NOT_JSON, read_json

_OUTSTANDING = 1000
"""Events on their way at once: the rows are printed in order, as they become known."""


@dataclass(frozen=True, slots=True)
class Template:
    """What all events of one command have in common."""

    type: str
    key: str | None
    id: str | None
    subject: str | None
    content_type: str
    headers: Mapping[str, str]

    def event(self, data: bytes, where: str) -> NewEvent:
        """An event with this data; `where` it came from begins the sentence of an error.

        Raises:
            UsageError: it is said to be JSON and is not.
        """
        if is_json(self.content_type) and read_json(data) is NOT_JSON:
            raise UsageError(f"{where} is not JSON: mend it, or say what it is by --content-type.")
        return NewEvent(
            type=self.type,
            data=data,
            key=self.key,
            id=new_id() if self.id is None else self.id,
            subject=self.subject,
            content_type=self.content_type,
            headers=self.headers,
        )

    def events_of(self, lines: Iterable[bytes]) -> Iterator[NewEvent]:
        """One event a line; blank lines are left out."""
        for number, line in enumerate(lines, 1):
            data = line.strip(b"\r\n")
            if data.strip():
                yield self.event(data, f"Line {number}")


def one_event(template: Template, data: bytes) -> Iterator[NewEvent]:
    return iter((template.event(data, "The data"),))


def parsed_headers(given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` as they were typed; the value may hold further equals signs.

    Raises:
        UsageError: one has no name or no equals sign.
    """
    found: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not name or not sign:
            raise UsageError(f"--header {one!r} is not NAME=VALUE.")
        found[name] = value
    return found


def event_rows(publisher: EventPublisher, topic: str, events: Iterator[NewEvent]) -> Iterator[Row]:
    """Publish the events in order; a row for each that Kafka has, in the same order.

    If one cannot be published, the rows of those before it still come, then the error.

    Raises:
        UsageError: an event cannot be written.
        BrokerError: Kafka did not take one.
    """
    out: deque[Receipt] = deque()
    trouble: Exception | None = None
    try:
        for event in events:
            out.append(publisher.submit(topic, event))
            if len(out) >= _OUTSTANDING:
                yield _row(out.popleft())
    except InvalidEventError as error:
        trouble = UsageError(f"{error}.")
    except (UsageError, PublishError) as error:
        trouble = error
    while out:
        yield _row(out.popleft())
    if isinstance(trouble, PublishError):
        raise BrokerError(f"{trouble}.") from trouble
    if trouble is not None:
        raise trouble


def _row(receipt: Receipt) -> Row:
    try:
        done = receipt.result()
    except PublishError as error:
        raise BrokerError(f"{error}.") from error
    return {
        "topic": done.topic,
        "partition": done.partition,
        "offset": done.offset,
        "timestamp_ms": done.timestamp_ms,
        "id": done.event_id,
    }
