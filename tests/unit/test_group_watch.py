"""The loop that has a group divided anew, without a group."""

import asyncio
import threading
from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException

from hooklane.runtime.errors import BrokerError
from hooklane.runtime.group_client import Assigned
from hooklane.runtime.group_division import Division, Redivision
from hooklane.runtime.group_watch import Watched, keep_divided, kept_divided
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import TopicLayout
from tests.support.fanout_facts import until

PLACE = Assigned("t", 0)
ME = "one-00000000-1111-2222-3333-444455556666"
HOLE = Division(settled=True, given={ME: frozenset()})
WHOLE = Division(settled=True, given={ME: frozenset({PLACE})})


class Group:
    """Answers, and counts how often it was divided anew."""

    def __init__(self) -> None:
        self.answers: list[Division | None] = []
        self.asked = self.divided = 0
        self.refuses = False
        self.may_end = threading.Event()
        self.may_end.set()

    def division(self) -> Division:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if found is None:
            raise BrokerError("Kafka did not answer.")
        return found

    def divide_anew(self) -> None:
        self.divided += 1
        self.may_end.wait(10)
        if self.refuses:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def looking(group: Group) -> asyncio.Task[None]:
    """Every millisecond, and without any patience."""
    watched = Watched(group.division, lambda: [PLACE], group.divide_anew)
    turns = iter(range(10**9))
    return asyncio.create_task(
        keep_divided(watched, Redivision("one", 0.0), lambda: next(turns), 0.001)
    )


async def test_a_group_without_an_answer_is_asked_again() -> None:
    """And as soon as the hole is seen, it is closed."""
    group = Group()
    group.answers = [None, None, WHOLE, HOLE, WHOLE]
    task = looking(group)
    await until(lambda: group.asked > 10)
    task.cancel()
    assert group.divided == 1


async def test_one_division_at_a_time() -> None:
    """While the coordinator does not come back with one, no other is begun."""
    group = Group()
    group.answers = [HOLE]
    group.may_end.clear()
    task = looking(group)
    await until(lambda: group.divided == 1)
    seen = group.asked
    await until(lambda: group.asked > seen + 10)
    assert group.divided == 1
    group.may_end.set()
    await until(lambda: group.divided > 1)
    task.cancel()


async def test_what_was_refused_is_tried_again() -> None:
    """A division that fails ends nothing."""
    group = Group()
    group.answers, group.refuses = [HOLE], True
    task = looking(group)
    await until(lambda: group.divided > 2)
    assert not task.done()
    task.cancel()


class Unasked:
    """Nobody is to ask this."""

    def division(self, group_id: str) -> Division:
        raise AssertionError(group_id)

    def layouts(self) -> Mapping[str, TopicLayout]:
        raise AssertionError


@pytest.mark.parametrize(
    "access",
    [
        pytest.param(KafkaAccess("x:1"), id="no instance id"),
        pytest.param(KafkaAccess("x:1", {"group.protocol": "consumer"}, "one"), id="KIP-848"),
    ],
)
async def test_dynamic_members_are_left_alone(access: KafkaAccess) -> None:
    """Their group is divided anew whenever one is gone: nothing is looked at."""
    before = asyncio.all_tasks()
    with kept_divided(access, Unasked(), "g", "other", bool, 0.0, lambda: 0.0):
        assert asyncio.all_tasks() == before
