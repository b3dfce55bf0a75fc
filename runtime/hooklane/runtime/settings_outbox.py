"""The settings of `hooklane outbox`, as `settings_sections` has the others."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from hooklane.runtime.settings_types import Duration, Section
from hooklane.schemas.cloudevents_content_type import is_content_type
from hooklane.schemas.topics import Delay

PARTS: Final = (
    "id",
    "aggregatetype",
    "aggregateid",
    "type",
    "payload",
    "position",
    "time",
    "headers",
    "published",
    "failure",
)
"""What a column of the outbox may hold."""

_FIELD: Final = "{aggregatetype}"


def _columns(given: object) -> object:
    for part, name in given.items() if isinstance(given, dict) else ():
        if part not in PARTS:
            raise ValueError(f"{part!r} is no part of an outbox: it has {', '.join(PARTS)}")
        if not isinstance(name, str) or not name:
            raise ValueError(f"{part} must be the name of a column")
    return given


def _template(value: str) -> str:
    rest = value.replace(_FIELD, "")
    if not value or "{" in rest or "}" in rest:
        raise ValueError(f"{value!r} is no template: the only field is {_FIELD}")
    return value


def _content_type(value: str) -> str:
    if not is_content_type(value):
        raise ValueError(f"{value!r} is no media type such as application/json")
    return value


class AfterPublishing(StrEnum):
    DELETE = "delete"
    MARK = "mark"


class BadRows(StrEnum):
    WAIT = "wait"
    SKIP = "skip"


class Partitioner(StrEnum):
    MURMUR2_RANDOM = "murmur2_random"
    CONSISTENT_RANDOM = "consistent_random"
    FNV1A_RANDOM = "fnv1a_random"


class OutboxSettings(Section):
    dsn: SecretStr | None = Field(
        default=None,
        description="How PostgreSQL is reached, as libpq takes it: "
        "`postgresql://user:password@host:5432/database`, or `host=… dbname=…`. It has to be "
        "PostgreSQL itself, not a pooler.",
    )
    dsn_file: Path | None = Field(
        default=None,
        description="File that holds it instead, such as a mounted secret; read again for each "
        "connection.",
    )
    table: str = Field(
        default="outbox", min_length=1, description="The table, with its schema or without."
    )
    columns: Annotated[dict[str, str], BeforeValidator(_columns)] = Field(
        default_factory=dict,
        description="Columns that have other names, as a JSON object such as "
        '`{"type": "event_type", "time": "created_at"}`. `time` and `headers` are used only where '
        "they are named.",
    )
    topic: Annotated[str, AfterValidator(_template)] = Field(
        default="{aggregatetype}.events", description="The topic of a row's event."
    )
    source: Annotated[str, AfterValidator(_template)] = Field(
        default="/{aggregatetype}", description="Its CloudEvents `source`."
    )
    content_type: Annotated[str, AfterValidator(_content_type)] | None = Field(
        default=None,
        description="Content type of payloads. Without it: `application/json` for json and jsonb, "
        "and for text that is JSON; `text/plain` for other text; `application/octet-stream` for "
        "bytea.",
    )
    after: AfterPublishing = Field(
        default=AfterPublishing.DELETE,
        description="What becomes of a row that was published; `mark` writes the time into the "
        "column `published` (`published_at`).",
    )
    on_bad_row: BadRows = Field(
        default=BadRows.WAIT,
        description="What becomes of the key of a row that cannot be an event; `skip` writes the "
        "reason into the column `failure`, and goes on.",
    )
    buckets: int = Field(
        default=4,
        ge=1,
        le=1024,
        description="Parts that keys are divided into: as many relays can work at once. The same "
        "for all relays of a table.",
    )
    channel: str = Field(
        default="hooklane_outbox",
        max_length=63,
        description="Channel that the table's trigger notifies; empty: only `look_every` counts.",
    )
    look_every: Duration = Field(
        default=Delay.parse("1s"),
        description="How often to look for rows that no notification has told of.",
    )
    rows: int = Field(
        default=500, ge=1, le=100_000, description="Rows read at once, and the most a transaction."
    )
    again_after: Duration = Field(
        default=Delay.parse("10s"),
        description="How long a row or a topic that was refused is left alone before it is tried "
        "again.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,180}$",
        description="What the transactional ids have after `<prefix>-outbox-`. Two outboxes on one "
        "Kafka need different ones, all relays of one outbox the same.",
        json_schema_extra={"default_text": "the database's system identifier, its name, the table"},
    )
    partitioner: Partitioner = Field(
        default=Partitioner.MURMUR2_RANDOM,
        description="How keys are put into partitions: as whoever else writes to the topics does.",
    )
    shutdown_grace: Duration = Field(
        default=Delay.parse("25s"),
        description="How long what is on its way may take after SIGTERM.",
    )
