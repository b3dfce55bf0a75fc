"""What an outbox table's columns are called, and what is made of its rows. Pure.

The names are those of Debezium's outbox event router, unless they are told otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Part(StrEnum):
    """What a column may hold."""

    ID = "id"
    AGGREGATETYPE = "aggregatetype"
    AGGREGATEID = "aggregateid"
    TYPE = "type"
    PAYLOAD = "payload"
    POSITION = "position"
    """A number that rises with each row."""
    TIME = "time"
    """When it happened; there is such a column only where one is named."""
    HEADERS = "headers"
    """A JSON object of further headers, such as `traceparent`; likewise."""
    PUBLISHED = "published"
    """When it was published: where rows are marked."""
    FAILURE = "failure"
    """Why it cannot be an event: where bad rows are skipped."""


_NAMES: Final[Mapping[Part, str]] = {
    Part.ID: "id",
    Part.AGGREGATETYPE: "aggregatetype",
    Part.AGGREGATEID: "aggregateid",
    Part.TYPE: "type",
    Part.PAYLOAD: "payload",
    Part.POSITION: "position",
    Part.PUBLISHED: "published_at",
    Part.FAILURE: "failure",
}


class After(StrEnum):
    """What becomes of a row that was published."""

    DELETE = "delete"
    MARK = "mark"


class OnBadRow(StrEnum):
    """What becomes of the queue of a row that cannot be an event."""

    WAIT = "wait"
    """The row and its queue wait until somebody has mended or deleted it."""
    SKIP = "skip"
    """The reason is written into the row, and its queue goes on."""


class PayloadKind(StrEnum):
    """What the payload's column holds."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


TYPE_FIELD: Final = "{aggregatetype}"
"""What stands in a template for the row's aggregatetype."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One table and its rules. `table`: a name, with its schema or without."""

    table: str = "outbox"
    names: Mapping[Part, str] = field(default_factory=dict)
    topic: str = "{aggregatetype}.events"
    source: str = "/{aggregatetype}"
    content_type: str | None = None
    after: After = After.DELETE
    on_bad_row: OnBadRow = OnBadRow.WAIT
    buckets: int = 4
    channel: str = "hooklane_outbox"

    def column(self, part: Part) -> str | None:
        """Its name; None where this table has no such column."""
        if part in self.names:
            return self.names[part]
        if part is Part.PUBLISHED and self.after is not After.MARK:
            return None
        if part is Part.FAILURE and self.on_bad_row is not OnBadRow.SKIP:
            return None
        return _NAMES.get(part)

    def named(self, part: Part) -> str:
        """The name of a column that every table has."""
        found = self.column(part)
        assert found is not None  # noqa: S101 - only asked for what has a name by default
        return found

    def columns(self) -> dict[Part, str]:
        """Every column that this table must have."""
        found = {part: self.column(part) for part in Part}
        return {part: name for part, name in found.items() if name is not None}

    @property
    def one_topic(self) -> bool:
        """Whether all rows go to one topic, so that a key is one key whatever its aggregatetype."""
        return TYPE_FIELD not in self.topic
