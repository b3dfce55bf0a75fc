"""What the simulation rests on: its Kafka, its threads and its time do what the real ones do."""

import asyncio
import random
from collections.abc import Coroutine

import pytest

from tests.simulation.cluster import Cluster, FencedError
from tests.simulation.group import Answer, Group
from tests.simulation.log import Ending, Entry, Log
from tests.simulation.loop import HERE, Node, SimLoop
from tests.simulation.threads import SimThreads, sleep


def offsets(found: tuple[list[Entry], int]) -> tuple[list[int], int]:
    entries, position = found
    return [entry.offset for entry in entries], position


def test_a_reader_stops_at_the_first_open_record() -> None:
    """With read_committed nothing beyond the last stable offset is given, and it is not passed."""
    log = Log("t", 0)
    log.append(b"k", b"1", 0)
    batch = log.begin()
    log.append(b"k", b"2", 0, batch)
    log.append(b"k", b"3", 0)
    assert (log.stable_end, log.end) == (1, 3)
    assert offsets(log.read(0, 10)) == ([0], 1)


def test_a_marker_takes_an_offset() -> None:
    """A committed record is given, an aborted one is not, and the markers leave gaps."""
    log = Log("t", 0)
    first, second = log.begin(), log.begin()
    log.append(b"a", b"1", 0, first)
    log.append(b"b", b"2", 0, second)
    log.mark(second, Ending.ABORTED, 0)
    assert offsets(log.read(0, 10)) == ([], 0)
    log.mark(first, Ending.COMMITTED, 0)
    assert offsets(log.read(0, 10)) == ([0], 4)


def test_compaction_keeps_the_newest_and_young_tombstones() -> None:
    """What is open stays, and nothing else of a key but its newest."""
    log = Log("t", 0)
    log.append(b"a", b"1", 0)
    log.append(b"a", b"2", 0)
    log.append(b"b", None, 0)
    log.append(b"c", None, 50)
    log.append(b"a", b"3", 50, log.begin())
    log.compact(tombstones_before_ms=10)
    assert [entry.offset for entry in log.entries] == [1, 3, 4]


def cluster() -> tuple[SimLoop, Cluster]:
    loop = SimLoop()
    made = Cluster(loop, random.Random(1), lambda _: None)
    made.make_topic("t", 1)
    return loop, made


def test_a_new_producer_ends_what_the_one_before_left_open() -> None:
    """And the one before is fenced."""
    loop, kafka = cluster()
    epoch = kafka.init("x", 2.0)
    assert epoch is not None
    kafka.write("x", epoch, ("t", 0), [(b"k", b"1")])
    assert kafka.init("x", 2.0) is None, "it waits until the open transaction is ended"
    assert loop.run_world(lambda: kafka.log("t", 0).stable_end == 2, 10.0)
    assert kafka.init("x", 2.0) is not None
    with pytest.raises(FencedError):
        kafka.write("x", epoch, ("t", 0), [(b"k", b"2")])


def test_a_transaction_that_takes_too_long_is_aborted() -> None:
    """By the coordinator, which fences its producer."""
    loop, kafka = cluster()
    epoch = kafka.init("x", 2.0)
    assert epoch is not None
    kafka.write("x", epoch, ("t", 0), [(b"k", b"1")])
    assert loop.run_world(lambda: kafka.log("t", 0).stable_end == 2, 10.0)
    with pytest.raises(FencedError):
        kafka.end("x", epoch, Ending.COMMITTED)


class Clients:
    """Members of a group that join when they are told to."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        places = (("t", 0), ("t", 1))
        self.left: list[str] = []
        self.group = Group("g", self.loop, random.Random(1), 3.0, places, self.left.append)
        self.has: dict[str, tuple[int, tuple[tuple[str, int], ...]]] = {}

    def join(self, name: str, instance: str = "") -> str:
        """Joins anew, or once more with what it has."""
        member = name if name in self.group.members else ""
        owned = self.has.get(name, (0, ()))[1]
        found: list[str] = []

        def told(generation: int, assignment: object) -> None:
            self.has[found[0]] = (generation, tuple(assignment))  # type: ignore[arg-type]

        made = self.group.join(member, instance, owned, told)
        assert made is not None
        found.append(made)
        return made

    def run(self, seconds: float = 0.5) -> None:
        self.loop.run_world(lambda: False, self.loop.time() + seconds)


def test_what_another_one_has_is_given_up_first() -> None:
    """Cooperative: a second member gets its partition one generation after the first lost it."""
    clients = Clients()
    one = clients.join("one")
    clients.run()
    assert len(clients.has[one][1]) == 2
    two = clients.join("two")
    clients.join(one)
    clients.run()
    assert (len(clients.has[one][1]), clients.has[two][1]) == (1, ())
    clients.join(one)
    clients.join(two)
    clients.run()
    assert len(clients.has[two][1]) == 1
    assert clients.has[one][0] == clients.has[two][0] == 3


def test_a_silent_member_is_out_after_the_session_timeout() -> None:
    """And what it writes with its old generation is refused."""
    clients = Clients()
    one = clients.join("one")
    clients.run()
    old = clients.group.metadata(one, clients.has[one][0])
    assert clients.group.checked(old) is Answer.WELL
    clients.run(4.0)
    assert clients.left == [one]
    assert clients.group.checked(old) is Answer.UNKNOWN_MEMBER


def test_a_static_member_takes_its_own_place() -> None:
    """Without a new generation; the one before it is fenced."""
    clients = Clients()
    one = clients.join("one", instance="i")
    clients.run()
    again = clients.join("again", instance="i")
    clients.run()
    assert clients.has[again] == clients.has[one]
    old = clients.group.metadata(one, clients.has[one][0])
    assert clients.group.checked(old) is Answer.FENCED_INSTANCE


def begin(loop: SimLoop, work: Coroutine[None, None, None]) -> None:
    loop.create_task(work)


def test_a_frozen_process_goes_on_where_it_stopped() -> None:
    """Its timers and its threads wait until it thaws; the world's do not."""
    loop = SimLoop()
    SimThreads(loop)
    node = Node("n", loop)
    told: list[tuple[str, float]] = []

    def blocking() -> None:
        sleep(loop, 1.0)
        told.append(("thread", loop.time()))

    async def work() -> None:
        await asyncio.sleep(1.0)
        told.append(("task", loop.time()))
        await asyncio.to_thread(blocking)

    node.run(lambda: begin(loop, work()))
    loop.call_later(0.5, node.freeze)
    loop.call_later(1.5, lambda: told.append(("world", loop.time())))
    loop.call_later(4.0, node.thaw)
    loop.run_world(lambda: False, 10.0)
    assert told == [("world", 1.5), ("task", 4.0), ("thread", 5.0)]


def test_nothing_of_a_killed_process_runs() -> None:
    """Neither what it waits for nor what its threads do; what it had sent arrives."""
    loop = SimLoop()
    SimThreads(loop)
    node = Node("n", loop)
    told: list[str] = []

    def blocking() -> None:
        loop.at_large(1.0, lambda: told.append("sent"))
        sleep(loop, 1.0)
        told.append("thread")

    async def work() -> None:
        assert HERE.get() is node
        await asyncio.to_thread(blocking)
        told.append("task")

    node.run(lambda: begin(loop, work()))
    loop.call_later(0.5, node.kill)
    loop.run_world(lambda: False, 10.0)
    loop.close()
    assert told == ["sent"]
