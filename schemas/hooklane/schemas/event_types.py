"""Event types: what is known of each, and how its data is judged.

`read_event_types` of `event_types_read` makes them from a folder of schema files.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from hooklane.schemas.avro_schema import AvroSchema
from hooklane.schemas.event_types_fault import Fault


class SchemaKind(Enum):
    """What a type's schema is written in."""

    AVRO = "avro"
    JSON_SCHEMA = "json-schema"


class EventTypesError(Exception):
    """A folder of schemas that cannot be used: one sentence with the file and the place in it."""


class ValidationUnavailableError(Exception):
    """JSON Schema cannot be judged here, since what that needs is not installed."""


class DataJudge(Protocol):
    def faults(self, data: object) -> tuple[Fault, ...]:
        """Where plain JSON data does not fit, the first few; none if it fits."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type. `schema` is the file as JSON values.

    `topics` is where its events are published, `key` how their key is chosen, in words,
    `replaced_by` the type that comes after it, `examples` data in JSON that fits the schema.
    `avro` is there for Avro alone: it encodes and decodes data, and has the fingerprint.
    """

    name: str
    kind: SchemaKind
    schema: Mapping[str, object]
    title: str | None = None
    description: str | None = None
    topics: tuple[str, ...] = ()
    key: str | None = None
    deprecated: bool = False
    replaced_by: str | None = None
    examples: tuple[object, ...] = ()
    avro: AvroSchema | None = field(default=None, compare=False, repr=False)
    _judge: DataJudge | None = field(default=None, compare=False, repr=False)

    @property
    def can_judge(self) -> bool:
        """Whether `faults` can be asked here."""
        return self._judge is not None

    def faults(self, data: object) -> tuple[Fault, ...]:
        """Where plain JSON data does not fit the schema; none if it fits.

        Raises:
            ValidationUnavailableError: the schema is JSON Schema, whose library is not installed.
        """
        if self._judge is None:
            raise ValidationUnavailableError(
                f"data of {self.name} cannot be judged by its JSON Schema: "
                "pip install 'hooklane[validation]'"
            )
        return self._judge.faults(data)


class EventTypes:
    """The types of one folder, in the order of their names. `earlier` are Avro schemas that records
    may have been written by."""

    def __init__(self, types: Mapping[str, EventType], earlier: Iterable[AvroSchema] = ()) -> None:
        self._types = {name: types[name] for name in sorted(types)}
        current = (one.avro for one in self if one.avro is not None)
        self._writers = {one.fingerprint: one for one in (*earlier, *current)}

    def get(self, name: str) -> EventType | None:
        return self._types.get(name)

    def writer(self, fingerprint: bytes) -> AvroSchema | None:
        """The schema that wrote a single object, by the eight bytes of its fingerprint."""
        return self._writers.get(fingerprint)

    @property
    def has_avro(self) -> bool:
        return bool(self._writers)

    def __iter__(self) -> Iterator[EventType]:
        return iter(self._types.values())

    def __len__(self) -> int:
        return len(self._types)
