"""What is done to services, brokers and links in a storm, and when: all from one seed. Pure.

Each plan is a deck of deeds that is shuffled, dealt out and shuffled again, so that also a short
storm has one of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Deed(StrEnum):
    """To a service (the first group), to a broker, to the links."""

    KILL = "SIGKILL of a service"
    KILL_LONG = "SIGKILL, down for longer than the session"
    KILL_PAIR = "SIGKILL of both of a kind"
    TERMINATE = "SIGTERM of a service"
    FREEZE = "SIGSTOP for longer than the session"
    LOSE_SPOOL = "SIGKILL, spool deleted"
    SPOIL_SPOOL = "SIGKILL, spool corrupted"

    KILL_BROKER = "SIGKILL of a broker"
    KILL_COORDINATOR = "SIGKILL of a group's coordinator"
    STOP_BROKER = "restart of a broker"
    FREEZE_BROKER = "SIGSTOP of a broker"
    MOVE_LEADERS = "leaders moved"

    HOLD_UP = "nothing reaches a broker"
    HOLD_DOWN = "nothing comes from a broker"
    HOLD_ALL = "no broker reached"
    SLOW = "slow links"


@dataclass(frozen=True, slots=True)
class Step:
    """`wait_s` after the step before it. `lasts_s`: until what was done is undone.

    `service`: `fanout` or `retrier`; `target`: which of the services or brokers. `waits`: the
    next step comes when this service is ready again.
    """

    wait_s: float
    deed: Deed
    service: str
    target: int
    lasts_s: float
    waits: bool = False


_SERVICES = [
    (Deed.KILL, "fanout"),
    (Deed.KILL, "fanout"),
    (Deed.KILL, "retrier"),
    (Deed.KILL, "retrier"),
    (Deed.KILL_LONG, "fanout"),
    (Deed.KILL_LONG, "retrier"),
    (Deed.KILL_PAIR, "fanout"),
    (Deed.KILL_PAIR, "retrier"),
    (Deed.TERMINATE, "fanout"),
    (Deed.TERMINATE, "retrier"),
    (Deed.FREEZE, "fanout"),
    (Deed.FREEZE, "retrier"),
    (Deed.LOSE_SPOOL, "retrier"),
    (Deed.SPOIL_SPOOL, "retrier"),
]

# The shortest and the longest time that each lasts.
_BROKERS = {
    Deed.KILL_BROKER: (0.0, 3.0),
    Deed.KILL_COORDINATOR: (0.0, 3.0),
    Deed.STOP_BROKER: (0.0, 1.0),
    Deed.FREEZE_BROKER: (4.0, 7.0),
    Deed.MOVE_LEADERS: (0.0, 0.0),
    Deed.HOLD_UP: (3.0, 8.0),
    Deed.HOLD_DOWN: (3.0, 8.0),
    Deed.HOLD_ALL: (1.0, 8.0),
    Deed.SLOW: (3.0, 6.0),
}


def services_plan(seed: int, session_s: float) -> Iterator[Step]:
    """Without end."""
    chance = Random(f"services {seed}")
    while True:
        deck = list(_SERVICES)
        chance.shuffle(deck)
        for deed, service in deck:
            longer = deed in {Deed.KILL_LONG, Deed.FREEZE}
            lasts_s = session_s + chance.uniform(1.0, 3.0) if longer else chance.uniform(0.0, 1.0)
            yield Step(
                wait_s=chance.uniform(0.2, 1.5),
                deed=deed,
                service=service,
                target=chance.randrange(2),
                lasts_s=lasts_s,
                waits=chance.random() < 0.5,
            )


def brokers_plan(seed: int) -> Iterator[Step]:
    """Without end."""
    chance = Random(f"brokers {seed}")
    while True:
        deck = list(_BROKERS.items())
        chance.shuffle(deck)
        for deed, (shortest, longest) in deck:
            yield Step(
                wait_s=chance.uniform(1.0, 3.0),
                deed=deed,
                service=chance.choice(["fanout", "retrier"]),
                target=chance.randrange(1, 4),
                lasts_s=chance.uniform(shortest, longest),
            )
