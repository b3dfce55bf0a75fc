"""Where a producer most likely put a key, so that one partition is read and not all. Pure.

Kafka does not say which partitioner a publisher has. Three cover nearly all: murmur2 (Java, and
clients that follow it), CRC-32 (librdkafka's default), FNV-1a (Sarama, kafka-go). A few records
that are there tell which of them it is.
"""

import zlib
from collections.abc import Iterable
from typing import Final

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_32: Final = 0xFFFFFFFF
_31: Final = 0x7FFFFFFF
_FNV_PRIME: Final = 0x01000193
_FNV_BASIS: Final = 0x811C9DC5
_LEAST_SAMPLE: Final = 4


def by_likelihood(key: bytes, partitions: int) -> list[int]:
    """Every partition once, those where a known partitioner puts `key` first."""
    likely = (chosen(key, partitions) for chosen in _KNOWN)
    return list(dict.fromkeys([*likely, *range(partitions)]))


def places_of(key: bytes, partitions: int, sample: Iterable[tuple[bytes, int]]) -> list[int]:
    """Where `key` is in a topic with so many partitions, as far as can be told.

    `sample`: keys of the topic and the partitions that they are in. Those of the partitioners that
    explain all of it, and every partition where none does, or too few keys are there.
    """
    there = list(sample)
    if len(there) < _LEAST_SAMPLE:
        return by_likelihood(key, partitions)
    fitting = [one for one in _KNOWN if all(one(k, partitions) == place for k, place in there)]
    told = list(dict.fromkeys(one(key, partitions) for one in fitting))
    return told or by_likelihood(key, partitions)


def murmur2(data: bytes) -> int:
    """Kafka's own murmur2 (`org.apache.kafka.common.utils.Utils`), as an unsigned number."""
    value = (_SEED ^ len(data)) & _32
    whole = len(data) & ~3
    for place in range(0, whole, 4):
        part = int.from_bytes(data[place : place + 4], "little") * _M & _32
        value = (value * _M & _32) ^ ((part ^ part >> 24) * _M & _32)
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _M & _32
    value = (value ^ value >> 13) * _M & _32
    return value ^ value >> 15


def fnv1a(data: bytes) -> int:
    """32 bits of it, unsigned."""
    value = _FNV_BASIS
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & _32
    return value


def _by_murmur2(key: bytes, partitions: int) -> int:
    return (murmur2(key) & _31) % partitions


def _by_crc32(key: bytes, partitions: int) -> int:
    return zlib.crc32(key) % partitions


def _by_fnv1a(key: bytes, partitions: int) -> int:
    found = fnv1a(key)
    # Go takes the remainder of a signed number, and the sign away after it.
    signed = found if found <= _31 else found - (1 << 32)
    return abs(signed) % partitions


_KNOWN: Final = (_by_murmur2, _by_crc32, _by_fnv1a)
