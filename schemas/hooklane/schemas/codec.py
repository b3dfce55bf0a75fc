"""Avro's single-object encoding: two marker bytes, the schema's fingerprint, the datum.

Avro specification 1.12, "Single-object encoding". The fingerprint finds the schema that wrote a
record, so that a record of an older version stays readable without a registry: `avro/Name.avsc`
is the schema that is written, `avro/Name.<n>.avsc` are the earlier ones.
"""

import io
import json
import re
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Generic, TypeVar

import fastavro

from hooklane.schemas.codec_attempt import attempt_datum
from hooklane.schemas.codec_plain import plain_form
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
from hooklane.schemas.records_operator import AuditRecord, AuditState, Fate, LetterMark
from hooklane.schemas.single_object import HEADER, MARKER, fingerprint

R = TypeVar("R")
Fields = dict[str, Any]


class CodecError(Exception):
    """A record's bytes cannot be read."""


class UnknownSchemaError(CodecError):
    """Written by a schema that this version does not have, most likely a newer one's."""


class BrokenRecordError(CodecError):
    """Not what its fingerprint says, or not single-object encoded at all."""


class Codec(Generic[R]):
    """Writes and reads one kind of record.

    `kind` is the dataclass that is written, `build` makes one from what was read. `schemas` is the
    folder with the kind's schema, `<name>.avsc`, and its earlier ones, `<name>.<n>.avsc`. `datum`
    writes the newest schema's datum where that is worth more than fastavro.
    """

    def __init__(
        self,
        name: str,
        kind: type[R],
        build: Callable[[Fields], R],
        schemas: Traversable | None = None,
        datum: Callable[[R], bytes] | None = None,
    ) -> None:
        folder = schemas if schemas is not None else files("hooklane.schemas") / "avro"
        source = json.loads((folder / f"{name}.avsc").read_text())
        self._schema = fastavro.parse_schema(source)
        self._prefix = MARKER + fingerprint(source)
        self._plain = plain_form(kind)
        self._build = build
        self._datum = datum or self._datum_by_fastavro
        self._writers: dict[bytes, Any] = {self._prefix[2:]: self._schema}
        earlier = re.compile(rf"{re.escape(name)}\.[0-9]+\.avsc")
        for file in folder.iterdir():
            if earlier.fullmatch(file.name):
                older = json.loads(file.read_text())
                self._writers[fingerprint(older)] = fastavro.parse_schema(older)

    def encode(self, record: R) -> bytes:
        """The record's bytes, by the newest schema."""
        return self._prefix + self._datum(record)

    def wrote(self, data: bytes) -> bool:
        """Whether these bytes are of this kind, by a schema that is known here."""
        return data[:2] == MARKER and data[2:HEADER] in self._writers

    def decode(self, data: bytes) -> R:
        """Read a record, whichever known schema wrote it.

        Raises:
            UnknownSchemaError: this version lacks the writer's schema; leave the record alone.
            BrokenRecordError: the bytes are not such a record.
        """
        if data[:2] != MARKER or len(data) < HEADER:
            raise BrokenRecordError("not an Avro single object (no C3 01 marker)")
        writer = self._writers.get(data[2:HEADER])
        if writer is None:
            raise UnknownSchemaError(f"no schema with fingerprint {data[2:HEADER].hex()}")
        datum = io.BytesIO(data)
        datum.seek(HEADER)
        try:
            found = fastavro.schemaless_reader(datum, writer, self._schema)
            record = self._build(found)  # type: ignore[arg-type]  # a record schema reads to a dict
        except Exception as error:
            raise BrokenRecordError(f"the bytes do not fit their schema: {error!r}") from error
        if datum.tell() != len(data):
            raise BrokenRecordError(f"{len(data) - datum.tell()} bytes after the record's end")
        return record

    def _datum_by_fastavro(self, record: R) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema, self._plain(record))
        return out.getvalue()


def _event(found: Fields) -> Event:
    return Event(**found)


def _attempt(found: Fields) -> DeliveryAttempt:
    return DeliveryAttempt(
        **{
            **found,
            "lane": LaneId(found["lane"]),
            "outcome": AttemptOutcome(found["outcome"]),
            "response_headers": tuple(found["response_headers"]),
        }
    )


def _task(found: Fields) -> DeliveryTask:
    # Changed in place: a copy for each task of a drain is a part of it that one can see.
    found["event"] = _event(found["event"])
    return DeliveryTask(**found)


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


def _audit(found: Fields) -> AuditRecord:
    return AuditRecord(**{**found, "state": AuditState(found["state"])})


def _mark(found: Fields) -> LetterMark:
    return LetterMark(**{**found, "lane": LaneId(found["lane"]), "fate": Fate(found["fate"])})


TASKS = Codec[DeliveryTask]("DeliveryTask", DeliveryTask, _task)
TICKETS = Codec[RetryTicket]("RetryTicket", RetryTicket, lambda found: RetryTicket(**found))
LANES = Codec[LaneRecord]("LaneRecord", LaneRecord, lambda found: LaneRecord(**found))
LEDGERS = Codec[LedgerRecord]("Ledger", LedgerRecord, _ledger)
ATTEMPTS = Codec[DeliveryAttempt]("DeliveryAttempt", DeliveryAttempt, _attempt, datum=attempt_datum)
DEAD_LETTERS = Codec[DeadLetter]("DeadLetter", DeadLetter, _dead_letter)
AUDITS = Codec[AuditRecord]("AuditRecord", AuditRecord, _audit)
LETTER_MARKS = Codec[LetterMark]("LetterMark", LetterMark, _mark)
