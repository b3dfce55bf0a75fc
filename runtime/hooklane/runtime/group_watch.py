"""Looks whether a group has given each partition to somebody, and has it divided anew if not.

A group is divided anew when a member comes, and there is nothing that a client of librdkafka could
ask instead. So one comes that is of no further use: it wants a topic that the others do not, and so
gets no partition of theirs; it leaves as soon as it has been told what it gets.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from hooklane.runtime import kafka
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Division, Redivision
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import TopicLayout
from hooklane.runtime.kafka_clients import open_consumer
from hooklane.runtime.threads import SYSTEM_THREADS, Started, Threads

log = structlog.get_logger(__name__)

LOOK_S: Final = 10.0
_POLL_S: Final = 0.1
_COMES_S: Final = 60.0


class Admin(Protocol):
    """The part of KafkaAdmin that is asked here."""

    def division(self, group_id: str) -> Division: ...
    def layouts(self) -> Mapping[str, TopicLayout]: ...


@dataclass(frozen=True, slots=True)
class Watched:
    """What is asked and done, blocking: how the group is divided, which partitions there are, and
    to have it divided anew. The questions raise HooklaneError when there is no answer."""

    division: Callable[[], Division]
    wanted: Callable[[], Collection[Assigned]]
    divide_anew: Callable[[], None]


@contextmanager
def kept_divided(
    access: KafkaAccess,
    admin: Admin,
    group: str,
    other_topic: str,
    is_consumed: Callable[[str], bool],
    revoke_s: float,
    monotonic: Callable[[], float],
) -> Iterator[None]:
    """While this is open, the group of a static member is looked after, in the event loop.

    `other_topic`: one that no member consumes; `is_consumed` knows by its name which ones they do.
    `revoke_s`: how long a member may take to give a partition up.
    """
    if "group.instance.id" not in kafka.group_consumer(access, group):
        yield
        return

    def wanted() -> set[Assigned]:
        found = [one for name, one in admin.layouts().items() if is_consumed(name)]
        return {Assigned(one.name, number) for one in found for number in range(one.partitions)}

    # To give up takes a transaction besides, which is two thirds of the session timeout at most.
    patience_s = access.session_timeout_s + revoke_s
    watched = Watched(lambda: admin.division(group), wanted, visitor(access, group, other_topic))
    redivision = Redivision(access.instance_id, patience_s)
    looking = asyncio.create_task(
        keep_divided(watched, redivision, monotonic, min(LOOK_S, patience_s / 4))
    )
    try:
        yield
    finally:
        looking.cancel()


async def keep_divided(
    watched: Watched,
    redivision: Redivision,
    monotonic: Callable[[], float],
    look_s: float,
    threads: Threads = SYSTEM_THREADS,
) -> None:
    """Look again and again, until cancelled. Only for a static member: of a dynamic one that died
    the coordinator hears, and divides anew by itself."""

    def divide_anew() -> None:
        try:
            watched.divide_anew()
        except (HooklaneError, KafkaException) as error:
            log.warning("group.not_divided_anew", reason=str(error))

    dividing: Started | None = None
    while True:
        await asyncio.sleep(look_s)
        try:
            division = await asyncio.to_thread(watched.division)
            wanted = await asyncio.to_thread(watched.wanted)
        except HooklaneError as error:
            log.debug("group.division_unknown", reason=str(error))
            continue
        due = redivision.look(division, wanted, monotonic())
        # librdkafka may wait for a coordinator without end (its issue 3740).
        if due and (dividing is None or not dividing.is_alive()):
            names = ", ".join(f"{one.topic}[{one.partition}]" for one in due)
            log.warning("group.partitions_without_owner", partitions=names)
            dividing = threads.start(divide_anew, "divide anew")


def visitor(access: KafkaAccess, group: str, topic: str) -> Callable[[], None]:
    """What joins the group for a moment, as a dynamic member that wants `topic` only."""
    config = kafka.group_consumer(replace(access, instance_id=""), group)
    return lambda: visit(open_consumer(config), topic)


def visit(consumer: Consumer, topic: str, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Join, and leave as soon as the group has been divided, or after a minute. Blocks."""
    told = False

    def hear(_consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        nonlocal told
        told = True

    until = monotonic() + _COMES_S
    consumer.subscribe([topic], on_assign=hear)
    while not told and monotonic() < until:
        consumer.poll(_POLL_S)
    consumer.close()
