"""A Schema Registry's schemas by id, as far as they are known here. Pure: who asks brings them.

An id means one schema for ever, so what is known stays. That the registry has no such schema is
remembered for a while only: it may have been the wrong registry, and each record asks again else.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from hooklane.schemas.avro_schema import AvroSchema, AvroSchemaError
from hooklane.schemas.event import Unreadable

ASK_AGAIN_S: Final = 60.0


class Plain(Enum):
    """A schema that changes nothing about how data is read."""

    JSON = "JSON"


KnownSchema: TypeAlias = AvroSchema | Plain | Unreadable


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema as the registry has it. `kind`: AVRO, JSON or PROTOBUF. `references`: the texts of
    those that it uses, each after those that it uses itself."""

    kind: str
    text: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingSchema:
    """The registry answers, and does not have it; the end of a sentence that says what."""

    reason: str


class KnownSchemas:
    """`monotonic`: seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._known: dict[int, KnownSchema] = {}
        self._missing_until: dict[int, float] = {}

    def get(self, schema_id: int) -> KnownSchema | None:
        """What is known; None: ask the registry."""
        until = self._missing_until.get(schema_id)
        if until is not None and self._monotonic() >= until:
            del self._missing_until[schema_id], self._known[schema_id]
        return self._known.get(schema_id)

    def learn(self, schema_id: int, found: RegisteredSchema | MissingSchema) -> None:
        """What the registry said."""
        if isinstance(found, MissingSchema):
            self._missing_until[schema_id] = self._monotonic() + ASK_AGAIN_S
            self._known[schema_id] = Unreadable(f"the schema registry has no {found.reason}")
        else:
            self._known[schema_id] = _read(schema_id, found)


def _read(schema_id: int, found: RegisteredSchema) -> KnownSchema:
    match found.kind:
        case "AVRO":
            try:
                return AvroSchema(_source(found.text), [_source(one) for one in found.references])
            except AvroSchemaError as error:
                return Unreadable(f"the registry's schema {schema_id} cannot be read: {error}")
        case "JSON":
            return Plain.JSON
        case _:
            return Unreadable(
                f"the registry's schema {schema_id} is {found.kind[:32]}: Avro and JSON can be read"
            )


def _source(text: str) -> object:
    """The schema's JSON. Some registries give the name of a primitive type without its quotes."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise AvroSchemaError("it is nested too deeply") from error
    except ValueError:
        return text
