"""Avro's single-object encoding: two marker bytes, the schema's fingerprint, the datum.

Avro specification 1.12, "Single-object encoding". The fingerprint finds the schema that wrote a
record, so that a record of an older version stays readable without a registry: `avro/Name.avsc`
is the schema that is written, `avro/Name.<n>.avsc` are the earlier ones.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Generic, TypeVar

import fastavro

from hooklane.schemas.event import Event
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import (
    AttemptOutcome,
    DeadLetter,
    DeadLetterReason,
    DeliveryAttempt,
    DeliveryTask,
    Header,
    LaneRecord,
    LedgerRecord,
    Partial,
    RetryTicket,
    Span,
)

MARKER = b"\xc3\x01"
_HEADER = len(MARKER) + 8

R = TypeVar("R")
Fields = Mapping[str, Any]


class CodecError(Exception):
    """A record's bytes cannot be read."""


class UnknownSchemaError(CodecError):
    """Written by a schema that this version does not have, most likely a newer one's."""


class BrokenRecordError(CodecError):
    """Not what its fingerprint says, or not single-object encoded at all."""


class Codec(Generic[R]):
    """Writes and reads one kind of record."""

    def __init__(
        self, name: str, build: Callable[[Fields], R], schemas: Traversable | None = None
    ) -> None:
        folder = schemas if schemas is not None else files("hooklane.schemas") / "avro"
        source = json.loads((folder / f"{name}.avsc").read_text())
        self._schema = fastavro.parse_schema(source)
        self._prefix = MARKER + _fingerprint(source)
        self._build = build
        self._writers: dict[bytes, Any] = {self._prefix[2:]: self._schema}
        for file in folder.iterdir():
            if file.name.startswith(f"{name}.") and file.name != f"{name}.avsc":
                older = json.loads(file.read_text())
                self._writers[_fingerprint(older)] = fastavro.parse_schema(older)

    def encode(self, record: R) -> bytes:
        """The record's bytes, by the newest schema."""
        out = io.BytesIO()
        out.write(self._prefix)
        fastavro.schemaless_writer(out, self._schema, _plain(record))
        return out.getvalue()

    def decode(self, data: bytes) -> R:
        """Read a record, whichever known schema wrote it.

        Raises:
            UnknownSchemaError: this version lacks the writer's schema; leave the record alone.
            BrokenRecordError: the bytes are not such a record.
        """
        if data[:2] != MARKER or len(data) < _HEADER:
            raise BrokenRecordError("not an Avro single object (no C3 01 marker)")
        writer = self._writers.get(data[2:_HEADER])
        if writer is None:
            raise UnknownSchemaError(f"no schema with fingerprint {data[2:_HEADER].hex()}")
        try:
            found = fastavro.schemaless_reader(io.BytesIO(data[_HEADER:]), writer, self._schema)
            return self._build(found)  # type: ignore[arg-type]  # a record schema reads to a dict
        except Exception as error:  # noqa: BLE001 - fastavro raises whatever the bytes provoke
            raise BrokenRecordError(f"the bytes do not fit their schema: {error!r}") from error


def _fingerprint(schema: Any) -> bytes:  # noqa: ANN401 - a JSON value
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field of any record
    """What fastavro writes: dicts for dataclasses, without their private fields."""
    if is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in fields(value)
            if not f.name.startswith("_")
        }
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _event(found: Fields) -> Event:
    return Event(**found)


def _attempt(found: Fields) -> DeliveryAttempt:
    return DeliveryAttempt(
        **{**found, "lane": LaneId(found["lane"]), "outcome": AttemptOutcome(found["outcome"])}
    )


def _task(found: Fields) -> DeliveryTask:
    return DeliveryTask(
        **{**found, "lane": LaneId(found["lane"]), "event": _event(found["event"])}
    )


def _dead_letter(found: Fields) -> DeadLetter:
    last, event = found["last_attempt"], found["event"]
    return DeadLetter(
        **{
            **found,
            "lane": LaneId(found["lane"]),
            "reason": DeadLetterReason(found["reason"]),
            "last_attempt": None if last is None else _attempt(last),
            "event": None if event is None else _event(event),
            "headers": tuple(Header(**header) for header in found["headers"]),
        }
    )


def _ledger(found: Fields) -> LedgerRecord:
    return LedgerRecord(
        **{
            **found,
            "settled": tuple(Span(**span) for span in found["settled"]),
            "partial": tuple(
                Partial(one["offset"], tuple(one["subscribers"])) for one in found["partial"]
            ),
        }
    )


TASKS = Codec[DeliveryTask]("DeliveryTask", _task)
TICKETS = Codec[RetryTicket]("RetryTicket", lambda found: RetryTicket(**found))
LANES = Codec[LaneRecord]("LaneRecord", lambda found: LaneRecord(**found))
LEDGERS = Codec[LedgerRecord]("Ledger", _ledger)
ATTEMPTS = Codec[DeliveryAttempt]("DeliveryAttempt", _attempt)
DEAD_LETTERS = Codec[DeadLetter]("DeadLetter", _dead_letter)
