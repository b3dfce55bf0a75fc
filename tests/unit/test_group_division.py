"""When a group is divided as its members do not want it any more, and who has to see to it."""

import struct
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Division, Redivision, partitions_in

ALL = [Assigned("t", number) for number in range(4)]
PATIENCE_S = 20.0


def member(name: str, number: int = 0) -> str:
    return f"{name}-{number:08d}-1111-2222-3333-444455556666"


def divided(one: Sequence[int], two: Sequence[int] = (), *, settled: bool = True) -> Division:
    """Between two static members."""
    parts = {"one": one, "two": two}
    given_to = {member(name): frozenset(ALL[at] for at in parts[name]) for name in parts}
    return Division(settled, given_to)


WHOLE, HALF = divided([0, 1], [2, 3]), divided([2, 3])


def looks(redivision: Redivision, *found: tuple[float, Division]) -> list[list[Assigned]]:
    return [redivision.look(division, ALL, at) for at, division in found]


def test_nothing_is_done_where_everything_is_somebodys() -> None:
    """However often it is looked."""
    assert looks(Redivision("one", 0.0), (0, WHOLE), (100, WHOLE)) == [[], []]


def test_what_is_nobodys_for_long_enough_is_told() -> None:
    """Membership: at the first look after the patience is over, and for these partitions only."""
    found = looks(Redivision("one", PATIENCE_S), (5, HALF), (24, HALF), (25, HALF), (26, HALF))
    assert found == [[], [], ALL[:2], []]


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(WHOLE, id="it was somebody's meanwhile"),
        pytest.param(divided([2, 3], settled=False), id="a rebalance was under way"),
        pytest.param(Division(settled=True, given={member("two"): frozenset()}), id="we were out"),
        pytest.param(Division(settled=False, given={}), id="nobody knows the group"),
    ],
)
def test_patience_begins_anew(between: Division) -> None:
    """Partitions that pass on, or come back, are given the whole time again."""
    found = looks(Redivision("one", PATIENCE_S), (0, HALF), (19, between), (20, HALF), (39, HALF))
    assert found == [[], [], [], []]


def test_the_second_member_waits_for_the_first() -> None:
    """Membership: by the order of their ids; each acts after the same time again."""
    assert looks(Redivision("one", PATIENCE_S), (0, HALF), (20, HALF)) == [[], ALL[:2]]
    second = Redivision("two", PATIENCE_S)
    assert looks(second, (0, HALF), (20, HALF), (39, HALF), (40, HALF)) == [[], [], [], ALL[:2]]


def test_what_is_in_vain_is_done_less_often() -> None:
    """Twice as much patience each time, up to sixteen times; anew once it had an owner."""
    redivision = Redivision("one", 1.0)
    acted = [at for at in range(100) if redivision.look(HALF, ALL, at)]
    assert acted == [1, 3, 7, 15, 31, 47, 63, 79, 95]
    assert looks(redivision, (100, WHOLE), (101, HALF), (102, HALF)) == [[], [], ALL[:2]]


def test_a_name_that_only_begins_alike_is_not_ours() -> None:
    """Member ids are a name and a UUID, and names may hold hyphens and each other."""
    other = Division(settled=True, given={member("one-more"): frozenset()})
    assert looks(Redivision("one", 0.0), (0, other)) == [[]]
    assert looks(Redivision("one-more", 0.0), (0, other)) == [ALL]


def written(topics: dict[str, list[int]], version: int, rest: bytes) -> bytes:
    """As Kafka's consumers write an assignment."""
    found = struct.pack(">hi", version, len(topics))
    for name, partitions in topics.items():
        found += struct.pack(">h", len(name.encode())) + name.encode()
        found += struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
    return found + rest


@given(
    st.dictionaries(st.text(max_size=20), st.lists(st.integers(0, 2**31 - 1), max_size=5)),
    st.integers(0, 3),
    st.binary(),
)
def test_an_assignment_is_read_as_it_was_written(
    topics: dict[str, list[int]], version: int, rest: bytes
) -> None:
    """Every topic and partition, whatever the assignor adds; and a member without one has none."""
    places = {Assigned(name, one) for name, numbers in topics.items() for one in numbers}
    assert partitions_in(written(topics, version, rest)) == places
    assert partitions_in(b"") == frozenset()


@given(st.binary(max_size=60))
def test_no_bytes_are_taken_for_an_assignment_by_an_accident(found: bytes) -> None:
    """Whatever it is, it is read, or is a ValueError; what is cut off is refused."""
    with suppress(ValueError):
        assert all(isinstance(one, Assigned) for one in partitions_in(found))
    with pytest.raises(ValueError, match="no assignment"):
        partitions_in(written({"t": [1]}, 0, b"")[:-1])
