"""Which buckets a relay may have, beside others that work on the same table. Pure.

A relay that works on a table holds a shared lock that says how many buckets it counts with (it is
*enrolled*), and a lock of its own for each bucket that it has. Everybody sees all of these locks,
and so comes to the same shares.

Two relays that count with different numbers of buckets must not work at once: a queue would be in
one's bucket and in another's. Of two numbers that are enrolled the smaller one goes on; the other
waits until nobody of it is left. Who sees buckets held under another number waits in any case. A
relay looks *after* it has locked, and gives back what it must not have: so of two that lock at the
same moment at least one sees the other.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A relay, by its session's number, and the number of buckets that it counts with."""

    session: int
    buckets: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Who is there. `foreign`: whether buckets are held under another number than `me` has."""

    me: Enrolled
    relays: Collection[Enrolled]
    foreign: bool

    def may_have_any(self) -> bool:
        """Whether no relay of another number stands in the way."""
        return not self.foreign and all(one.buckets >= self.me.buckets for one in self.relays)

    def share(self) -> int:
        """How many buckets are mine by right."""
        like_me = sorted(
            {one.session for one in self.relays if one.buckets == self.me.buckets}
            | {self.me.session}
        )
        each, left = divmod(self.me.buckets, len(like_me))
        return each + (like_me.index(self.me.session) < left)


def surplus(owned: Sequence[int], share: int) -> list[int]:
    """What to give back of these buckets: the highest ones."""
    return sorted(owned)[share:]


def candidates(owned: Collection[int], buckets: int, me: int) -> list[int]:
    """What to try to lock, in order: from another place for each session, so that relays that
    begin together do not all ask for the same ones first."""
    begin = me % buckets
    rotated = [(begin + n) % buckets for n in range(buckets)]
    return [one for one in rotated if one not in owned]
