"""The group coordinator: members, generations, sessions, and a cooperative assignment."""

import random
import struct
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Division
from tests.simulation.loop import SimLoop

Place = tuple[str, int]

_GENERATION = struct.Struct("=7si")


class Answer(Enum):
    """What a member hears to its heartbeat, or a producer to its offsets."""

    WELL = "well"
    REBALANCING = "rebalancing"
    UNKNOWN_MEMBER = "unknown member"
    ILLEGAL_GENERATION = "illegal generation"
    FENCED_INSTANCE = "fenced instance"


class Joined(Protocol):
    """The client of a member that waits for the rebalance to end."""

    def __call__(self, generation: int, assignment: Sequence[Place]) -> None: ...


@dataclass(eq=False)
class Member:
    """`owned` is what it said that it has when it joined."""

    id: str
    instance: str
    heard: float
    told: Joined | None = None
    owned: tuple[Place, ...] = ()
    assignment: tuple[Place, ...] = ()


@dataclass(eq=False)
class Group:
    """Committed offsets, and who is a member. `left(id)` is told of each that is one no more."""

    name: str
    loop: SimLoop
    rng: random.Random
    session_s: float
    places: tuple[Place, ...]
    left: Callable[[str], None]
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    offsets: dict[Place, int] = field(default_factory=dict)
    pending: dict[Place, list[Any]] = field(default_factory=dict)
    """Transactions that have an offset of the place and are not ended."""
    _rebalancing: bool = False
    _moves: bool = False
    _names: int = 0

    def __post_init__(self) -> None:
        self.loop.call_later(self.session_s / 6, self._sweep)

    def join(self, member: str, instance: str, owned: Sequence[Place], told: Joined) -> str | None:
        """A member joins, or joins again. `told` is called when the rebalance is over.

        Returns its id; None: it is one no more, and has to begin anew.
        """
        if not member:
            return self._join_anew(instance, told)
        found = self.members.get(member)
        if found is None:
            return None
        found.heard, found.told, found.owned = self.loop.time(), told, tuple(owned)
        self._begin()
        return member

    def _join_anew(self, instance: str, told: Joined) -> str:
        self._names += 1
        member = f"{self.name}-{instance}-{self._names}"
        before = self.instances.get(instance) if instance else None
        if before is not None:
            return self._take_place(before, member, told)
        self.members[member] = Member(member, instance, self.loop.time(), told)
        if instance:
            self.instances[instance] = member
        self._begin()
        return member

    def _take_place(self, before: str, member: str, told: Joined) -> str:
        """A static member comes back under its name: the one before it is fenced."""
        old = self.members.pop(before)
        self.left(before)
        new = Member(member, old.instance, self.loop.time(), told, (), old.assignment)
        self.members[member] = new
        self.instances[old.instance] = member
        if self._rebalancing:
            self._complete_if_all_joined()
        else:
            # What it was told last, even if that leaves partitions without an owner.
            new.told = None
            self.loop.call_soon(told, self.generation, new.assignment, context=Context())
        return member

    def heartbeat(self, member: str, generation: int) -> Answer:
        answer = self.check(member, generation)
        found = self.members.get(member)
        if found is not None:
            found.heard = self.loop.time()
            if self._rebalancing:
                return Answer.REBALANCING if found.told is None else Answer.WELL
        return answer

    def check(self, member: str, generation: int) -> Answer:
        """Whether a member of this generation may write offsets (KIP-447)."""
        found = self.members.get(member)
        if found is None:
            instance = member.removeprefix(f"{self.name}-").rpartition("-")[0]
            known = instance and instance in self.instances
            return Answer.FENCED_INSTANCE if known else Answer.UNKNOWN_MEMBER
        return Answer.WELL if generation == self.generation else Answer.ILLEGAL_GENERATION

    def turn(self) -> None:
        """The next assignment gives the partitions to others, as when members come and go."""
        if self.members:
            self._moves = True
            self._begin()

    def visit(self) -> None:
        """A member that wants none of the partitions comes and goes: they are divided anew."""
        for after_s in (0.0, self.rng.uniform(0.1, 0.5)):
            self.loop.call_later(after_s, self._begin_if_joined, context=Context())

    def division(self) -> Division:
        """As the coordinator tells it."""
        given = {
            f"{one.instance}-{at:08d}-0000-0000-0000-000000000000": frozenset(
                Assigned(*place) for place in one.assignment
            )
            for at, one in enumerate(self.members.values())
        }
        return Division(not self._rebalancing, given)

    def leave(self, member: str) -> None:
        """A dynamic member goes at once; a static one keeps its place until its session is over."""
        found = self.members.get(member)
        if found is not None:
            found.told = None
            if not found.instance:
                self._remove(found)

    def metadata(self, member: str, generation: int) -> bytes:
        return _GENERATION.pack(b"CGMDv2:", generation) + member.encode()

    def checked(self, metadata: bytes) -> Answer:
        """The same as `check`, by a member's metadata."""
        _, generation = _GENERATION.unpack_from(metadata)
        return self.check(metadata[_GENERATION.size :].decode(), generation)

    def _begin_if_joined(self) -> None:
        if self.members:
            self._begin()

    def _begin(self) -> None:
        if not self._rebalancing:
            self._rebalancing = True
        self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if self._rebalancing and all(one.told is not None for one in self.members.values()):
            self.loop.call_later(self.rng.uniform(0.002, 0.02), self._complete, context=Context())

    def _complete(self) -> None:
        if not self._rebalancing or any(one.told is None for one in self.members.values()):
            return
        self._rebalancing = False
        self.generation += 1
        for member, assignment in self._assign().items():
            told, member.told, member.assignment = member.told, None, assignment
            assert told is not None
            told(self.generation, assignment)

    def _assign(self) -> dict[Member, tuple[Place, ...]]:
        """Sticky and even; what another one still has is given to nobody in this round."""
        members = sorted(self.members.values(), key=lambda one: (one.instance, one.id))
        most = -(-len(self.places) // max(len(members), 1))
        target: dict[Member, list[Place]] = {one: [] for one in members}
        owner = {place: one for one in members for place in one.owned if place in self.places}
        for place, one in sorted(owner.items()):
            at = members.index(one) + (1 if self._moves else 0)
            keeper = members[at % len(members)]
            if len(target[keeper]) < most:
                target[keeper].append(place)
        self._moves = False
        taken = {place for places in target.values() for place in places}
        for place in self.places:
            if place not in taken:
                fewest = min(members, key=lambda one: len(target[one]))
                target[fewest].append(place)
        return {
            one: tuple(
                place for place in sorted(places) if owner.get(place) is None or owner[place] is one
            )
            for one, places in target.items()
        }

    def _sweep(self) -> None:
        now = self.loop.time()
        for member in list(self.members.values()):
            if now - member.heard > self.session_s:
                self._remove(member)
        self.loop.call_later(self.session_s / 6, self._sweep)

    def _remove(self, member: Member) -> None:
        del self.members[member.id]
        if self.instances.get(member.instance) == member.id:
            del self.instances[member.instance]
        self.left(member.id)
        self._begin_if_joined()
        if not self.members:
            self._rebalancing = False
