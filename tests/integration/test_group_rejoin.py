"""What a real group makes of a member that drops its work and joins anew (rule 3)."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from hooklane.runtime import kafka as configs
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_poll import Consumed, GroupPoll, Start
from hooklane.runtime.group_reader import GroupReader
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_consumer
from tests.kafka.broker import Kafka
from tests.kafka.records import create_topic
from tests.support.fanout_facts import until

PARTITIONS = 4
SECONDS = 30.0
ANSWER_S = 5.0
SESSION_S = 2.0

Deed = Callable[[], None]


def nothing() -> None:
    """What an owner does where the test wants nothing of it."""


class Owner:
    """Knows what it works on: what has been assigned, and neither revoked nor lost since."""

    def __init__(self) -> None:
        self.works_on: set[Assigned] = set()
        self.losses = 0
        self.when_revoked: Deed = nothing
        self.when_assigned: Deed = nothing

    async def starts(self, partitions: Sequence[Assigned]) -> Sequence[Start]:
        return [Start(place) for place in partitions]

    def assigned(self, partitions: Sequence[Assigned]) -> None:
        self.works_on.update(partitions)
        self.when_assigned()

    async def revoke(self, partitions: Sequence[Assigned]) -> None:
        self.when_revoked()
        self.works_on.difference_update(partitions)

    def lost(self, partitions: Sequence[Assigned]) -> None:
        self.losses += 1
        self.works_on.difference_update(partitions)

    def consumed(self, batch: Sequence[Consumed]) -> None:
        raise AssertionError(batch)

    def reached_end(self, place: Assigned, offset: int) -> None:
        """Nothing here goes by it."""

    def polled(self, at: float) -> None:
        """Nothing here goes by it."""

    def failed(self, error: str) -> None:
        raise AssertionError(error)


@asynccontextmanager
async def member(kafka: Kafka, topic: str, instance: str) -> AsyncIterator[tuple[Owner, GroupPoll]]:
    access = KafkaAccess(kafka.bootstrap_servers, {}, instance, SESSION_S)
    owner, consumer = Owner(), open_consumer(configs.group_consumer(access, f"{topic}-group"))
    poll = GroupPoll(GroupReader(consumer), [topic], owner, time.monotonic, ANSWER_S)
    poll.start()
    try:
        yield owner, poll
    finally:
        await poll.stop()


@pytest.mark.parametrize("when", ["when_revoked", "when_assigned"])
@pytest.mark.parametrize("instance", ["", "one"], ids=["dynamic", "static"])
async def test_in_the_midst_of_a_rebalance_nothing_is_left_without_an_owner(
    kafka: Kafka, prefix: str, when: str, instance: str
) -> None:
    """Rule 3: whatever the group gives to a member is worked on, also if that member dropped
    everything while the group was rebalancing."""
    topic = create_topic(kafka, f"{prefix}.events", PARTITIONS)
    everything = {Assigned(topic, number) for number in range(PARTITIONS)}
    async with member(kafka, topic, instance) as (one, poll):
        await until(lambda: one.works_on == everything, seconds=SECONDS)

        def once() -> None:
            setattr(one, when, nothing)
            poll.rejoin()

        setattr(one, when, once)
        async with member(kafka, topic, f"{instance}-other" if instance else "") as (other, _):
            await until(lambda: one.losses > 0, seconds=SECONDS)
            await until(lambda: one.works_on | other.works_on == everything, seconds=SECONDS)
            assert not one.works_on & other.works_on
