"""The Avro datum of an attempt record, written by hand: one is written for each delivery.

A hot path that is ugly in one place: fastavro and the dict it needs take 12 µs for the 25 fields,
this takes 3, since most of them are the same from one record to the next. What it gives is
fastavro's to the byte (tests/unit/test_codec.py), by the schema `avro/DeliveryAttempt.avsc`.

Avro specification 1.12, "Binary Encoding": a long is a zigzag varint; text and bytes have their
length before them; a union has its branch's number, of which null is the first here.
"""

import struct
from functools import lru_cache
from typing import Final

from hooklane.schemas.records import AttemptOutcome, DeliveryAttempt

_DOUBLE = struct.Struct("<d")
_NULL: Final = b"\x00"
_PRESENT: Final = b"\x02"


def _varint(number: int) -> bytes:
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SMALL: Final = tuple(map(_varint, range(1024)))
_long = lru_cache(maxsize=4096)(_varint)


def _bytes(value: bytes) -> bytes:
    size = len(value)
    return (_SMALL[size] if size < len(_SMALL) else _varint(size)) + value


def _text(value: str) -> bytes:
    return _bytes(value.encode())


@lru_cache(maxsize=4096)
def _place(
    subscription: str, uid: str, run: str, topic: str, topic_id: str, partition: int
) -> bytes:
    return b"".join(map(_text, (subscription, uid, run, topic, topic_id))) + _varint(partition)


@lru_cache(maxsize=1024)
def _end(
    outcome: AttemptOutcome, reason: str, detail: str, status: int | None, address: str | None
) -> bytes:
    parts = [*map(_text, (outcome, reason, detail))]
    parts.append(_NULL if status is None else _PRESENT + _varint(status))
    parts.append(_NULL if address is None else _PRESENT + _text(address))
    return b"".join(parts)


_short = lru_cache(maxsize=1024)(_text)
"""For text that many records share, such as an event's type."""


@lru_cache(maxsize=256)
def _texts(values: tuple[str, ...]) -> bytes:
    """An array: a block with their number, and an empty one. Receivers repeat their headers."""
    if not values:
        return _NULL
    return b"".join((_varint(len(values)), *map(_text, values), _NULL))


def attempt_datum(record: DeliveryAttempt) -> bytes:
    """The record's fields in the schema's order, without the single-object header."""
    key, response = record.key, record.response
    next_ms, trace_id = record.next_ms, record.trace_id
    return b"".join(
        (
            _text(record.lane),
            _varint(record.sequence),
            _text(record.webhook_id),
            _place(
                record.subscription,
                record.uid,
                record.run,
                record.topic,
                record.topic_id,
                record.partition,
            ),
            _NULL if key is None else _PRESENT + _bytes(key),
            _text(record.event_id),
            _short(record.event_type),
            _long(record.attempt),
            _short(record.service),
            _long(record.started_ms),
            _DOUBLE.pack(record.duration_ms),
            _end(record.outcome, record.reason, record.detail, record.status, record.address),
            _NULL if response is None else _PRESENT + _bytes(response),
            _NULL if next_ms is None else _PRESENT + _varint(next_ms),
            _NULL if trace_id is None else _PRESENT + _text(trace_id),
            _texts(record.response_headers),
        )
    )
