"""How a group is divided, as its coordinator tells it, and when that cannot be left so.

Kafka gives a static member that comes back what it had been told last, and divides nothing anew. If
the process before it was told to give partitions up, and died before it joined again, nobody has
them; if it comes back with one topic more, nobody has that. So it stays, in a group that calls
itself stable, until some member comes or goes.
"""

import struct
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from hooklane.runtime.group_client import Assigned

_MOST_DOUBLINGS: Final = 4
_UUID: Final = len("-00000000-0000-0000-0000-000000000000")
"""Kafka calls a static member by its name and one of these."""
_INT16, _INT32 = struct.Struct(">h"), struct.Struct(">i")


class Division(NamedTuple):
    """`settled`: no rebalance is under way. `given`: the partitions of each member, by its id."""

    settled: bool
    given: Mapping[str, frozenset[Assigned]]


class Redivision:
    """When to have the group divided anew. No clock: each look says when it is, in seconds.

    `instance` is the static member's name in the group. Partitions that pass from one member to
    another are nobody's meanwhile, in a group that is settled: `patience_s` is longer than that
    takes. Of several members that look the first by its id acts first, the next after the same
    time again, should that one not be able to. What was in vain is done less and less often.
    """

    def __init__(self, instance: str, patience_s: float) -> None:
        self._instance = instance
        self._patience_s = patience_s
        self._since: dict[Assigned, float] = {}
        self._tries: dict[Assigned, int] = {}

    def look(self, division: Division, wanted: Collection[Assigned], at: float) -> list[Assigned]:
        """The partitions for which this process has to have the group divided anew, now: those that
        are `wanted`, and nobody's."""
        names = [member[:-_UUID] for member in sorted(division.given)]
        if not division.settled or self._instance not in names:
            self._since.clear()
            return []
        place = names.index(self._instance)
        nobodys = set(wanted).difference(*division.given.values())
        self._since = {one: self._since.get(one, at) for one in nobodys}
        self._tries = {one: self._tries.get(one, 0) for one in nobodys}
        due = [one for one in sorted(nobodys) if at >= self._since[one] + self._wait(one, place)]
        for one in due:
            self._since[one] = at
            self._tries[one] += 1
        return due

    def _wait(self, one: Assigned, place: int) -> float:
        doubled: int = 2 ** min(self._tries[one], _MOST_DOUBLINGS)
        return self._patience_s * doubled * (place + 1)


def partitions_in(assignment: bytes) -> frozenset[Assigned]:
    """What the leader has given to a member, as Kafka's consumers write it (the schema
    ConsumerProtocolAssignment, versions 0 to 3): a version, and each topic's name and partitions.

    Raises:
        ValueError: it is none.
    """
    try:
        return frozenset(_places(assignment)) if assignment else frozenset()
    except (struct.error, ValueError) as error:
        raise ValueError(f"no assignment of a consumer: {assignment!r}") from error


def _places(assignment: bytes) -> Iterator[Assigned]:
    at = _INT16.size
    (topics,) = _INT32.unpack_from(assignment, at)
    at += _INT32.size
    for _ in range(topics):
        (length,) = _INT16.unpack_from(assignment, at)
        if length < 0:
            raise ValueError("a topic without a name")
        at += _INT16.size
        topic = assignment[at : at + length].decode()
        (partitions,) = _INT32.unpack_from(assignment, at + length)
        at += length + _INT32.size
        for _ in range(partitions):
            yield Assigned(topic, *_INT32.unpack_from(assignment, at))
            at += _INT32.size
