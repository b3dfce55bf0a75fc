"""In which partition a key is, by the partitioners that publishers have."""

import math
import zlib
from collections.abc import Callable

import pytest

from hooklane.ops.partitioners import by_likelihood, fnv1a, murmur2, places_of

KEYS = [b"%d" % number for number in range(40)]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(data: bytes, value: int) -> None:
    """The values that Kafka's own tests of `Utils.murmur2` name."""
    assert murmur2(data) == value & 0xFFFFFFFF


def test_fnv1a() -> None:
    """The values that the algorithm's authors publish."""
    assert (fnv1a(b""), fnv1a(b"a"), fnv1a(b"foobar")) == (0x811C9DC5, 0xE40C292C, 0xBF9CF968)


def test_every_partition_is_among_the_likely() -> None:
    """Whatever the publisher does, the key is somewhere among them, each once."""
    assert sorted(by_likelihood(b"c-42", 12)) == list(range(12))


def by_go(key: bytes) -> int:
    """Sarama's: FNV-1a as a signed number, whose remainder loses its sign."""
    signed = int.from_bytes(fnv1a(key).to_bytes(4, "big"), "big", signed=True)
    return int(abs(math.fmod(signed, 12)))


@pytest.mark.parametrize(
    "chosen",
    [lambda key: (murmur2(key) & 0x7FFFFFFF) % 12, lambda key: zlib.crc32(key) % 12, by_go],
    ids=["murmur2", "crc32", "fnv1a"],
)
def test_a_sample_tells_the_partitioner(chosen: Callable[[bytes], int]) -> None:
    """Keys where one partitioner puts them leave one partition for another key."""
    sample = [(key, chosen(key)) for key in KEYS]
    assert places_of(b"c-42", 12, sample) == [chosen(b"c-42")]


def test_what_no_partitioner_explains_leaves_all() -> None:
    """Also with too few keys: then every partition is looked at, the likely ones first."""
    key = b"c-42"
    strange = [(one, by_likelihood(one, 12)[3]) for one in KEYS]
    assert places_of(key, 12, strange) == by_likelihood(key, 12)
    assert places_of(key, 12, [(KEYS[0], by_likelihood(KEYS[0], 12)[0])]) == by_likelihood(key, 12)
