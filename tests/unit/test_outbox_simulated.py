"""The whole relay beside others, in simulated time: sessions are cut, processes die and freeze, and
commits arrive late. PostgreSQL and Kafka are a few lines each, which know locks and fencing."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count

import pytest

from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.outbox.desk import Ask, Bad, Fault, Refusal
from hooklane.producer.outbox.errors import SessionLostError
from hooklane.producer.outbox.layout import Layout, PayloadKind
from hooklane.producer.outbox.ports import Committed, Pace, Refused, Result, Unsure
from hooklane.producer.outbox.relay import Relay
from hooklane.producer.outbox.row import Row
from hooklane.producer.outbox.share import Enrolled, Standing
from tests.simulation.loop import Node, SimLoop
from tests.support.order import Arrival, Verdict, judge_arrivals

BUCKETS = 3
KEYS = 7
LAYOUT = Layout(buckets=BUCKETS, topic="events")


class World:
    """The table with its locks, and the topic with its fences. `fences`: whether they
    work, so that a test can show what rests on them."""

    def __init__(self, seed: int, fences: bool = True) -> None:
        self.loop = SimLoop()
        self.random = random.Random(seed)
        self.fences = fences
        self.rows: dict[int, Row] = {}
        self.written: set[int] = set()
        self.locks: dict[int, int] = {}
        self.enrolled: dict[int, Enrolled] = {}
        self.alive: set[int] = set()
        self.epochs: dict[int, int] = defaultdict(int)
        self.topic: list[int] = []
        self.key_of: dict[int, str] = {}
        self.positions = count(1)
        self.sessions = count(100)

    def write(self) -> None:
        """A row gets its position now, and may be seen later than others that come behind it; only
        its own key's wait for it, since it has locked the aggregate."""
        key = f"k{self.random.randrange(KEYS)}"
        if any(self.key_of[one] == key for one in self.key_of.keys() - self.written):
            return
        position = next(self.positions)
        self.key_of[position] = key
        late_s = self.random.choice((0.0, 0.01, 0.4))
        row = Row(position, hash_of(key), key, f"id-{position}", "orders", key, "t", b"{}")

        def commit() -> None:
            self.rows[position] = row
            self.written.add(position)

        self.loop.at_large(late_s, commit)

    def cut(self, session: int) -> None:
        """Its locks are free, and whoever has it does not know yet."""
        self.alive.discard(session)
        self.enrolled.pop(session, None)
        self.locks = {b: s for b, s in self.locks.items() if s != session}

    async def pass_by(self, longest_s: float = 0.02) -> None:
        await asyncio.sleep(self.random.uniform(0.0, longest_s))


def hash_of(key: str) -> int:
    return int(key[1:]) % BUCKETS


class SimSession:
    kind = PayloadKind.JSON
    name = "sim"

    def __init__(self, world: World) -> None:
        self._world = world
        self.number = next(world.sessions)
        world.alive.add(self.number)

    async def _asked(self) -> None:
        await self._world.pass_by()
        if self.number not in self._world.alive:
            raise SessionLostError("the simulation has cut it")

    async def enrol(self) -> None:
        await self._asked()
        self._world.enrolled[self.number] = Enrolled(self.number, BUCKETS)

    async def standing(self) -> Standing:
        await self._asked()
        relays = set(self._world.enrolled.values())
        return Standing(Enrolled(self.number, BUCKETS), relays, foreign=False)

    async def lock(self, bucket: int) -> bool:
        await self._asked()
        return self._world.locks.setdefault(bucket, self.number) == self.number

    async def unlock(self, bucket: int) -> None:
        await self._asked()
        self._world.locks.pop(bucket, None)

    async def read(self, ask: Ask, limit: int) -> list[Row]:
        await self._asked()
        wanted = [
            row
            for row in sorted(self._world.rows.values(), key=lambda row: row.position)
            if row.bucket in ask.buckets and row.queue not in ask.queues
        ]
        await self._world.pass_by()
        return wanted[:limit]

    async def mark(self, positions: Sequence[int]) -> None:
        await self._asked()
        for position in positions:
            self._world.rows.pop(position, None)
        await self._asked()

    async def set_aside(self, bad: Iterable[Bad]) -> None:
        assert not any(one.aside for one in bad)

    async def waiting(self) -> tuple[int, float | None]:
        await self._asked()
        return len(self._world.rows), None

    async def close(self) -> None:
        self._world.cut(self.number)


class SimPublisher:
    """A commit takes effect whenever it arrives, whatever has become of who sent it."""

    def __init__(self, world: World, bucket: int) -> None:
        self._world = world
        self._bucket = bucket
        self._epoch = 0

    async def open(self) -> None:
        await self._world.pass_by()
        self._world.epochs[self._bucket] += 1
        self._epoch = self._world.epochs[self._bucket]

    async def publish(self, records: Sequence[OutgoingRecord]) -> Result:
        world = self._world
        positions = [int(one.event_id.removeprefix("id-")) for one in records]
        chance = world.random.random()
        if chance < 0.05:
            return Refused({0: Refusal(Fault.ROW, "the simulation refuses it for now")})
        answered: asyncio.Future[Result] = world.loop.create_future()
        epoch = self._epoch

        def arrive() -> None:
            if world.fences and epoch != world.epochs[self._bucket]:
                result: Result = Unsure("fenced")
            else:
                world.topic.extend(positions)
                result = Unsure("the answer was lost") if chance < 0.1 else Committed()
            if not answered.done():
                answered.set_result(result)

        world.loop.at_large(2.0 * world.random.random() ** 6, arrive)
        return await answered

    async def close(self) -> None:
        pass


class Silent:
    """Nobody is told."""

    def connected(self, is_connected: bool) -> None: ...
    def buckets(self, owned: int) -> None: ...
    def published(self, rows: Sequence[Row], now: float) -> None: ...
    def bad(self, one: Bad) -> None: ...
    def unsure(self) -> None: ...
    def held(self, queues: int) -> None: ...
    def waiting(self, rows: int, oldest_s: float | None) -> None: ...


class Process:
    """One relay, between its start and the end of the run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.node = Node("relay", world.loop)
        self.sessions: list[SimSession] = []
        self.node.run(self._begin)

    def _begin(self) -> None:
        self.relay = Relay(
            LAYOUT,
            Pace(rows=5, look_s=0.05, again_s=0.3),
            self._open_session,
            lambda _, bucket: SimPublisher(self._world, bucket),
            Silent(),
        )
        self.task = asyncio.ensure_future(self.relay.run(), loop=self._world.loop)

    async def _open_session(self) -> SimSession:
        await self._world.pass_by()
        self.sessions.append(SimSession(self._world))
        return self.sessions[-1]

    def die(self) -> None:
        """Nothing of it runs any more, and the server sees its connection closed. (It thaws when
        all is over, and may try what it likes.)"""
        self.node.freeze()
        for session in self.sessions:
            self._world.cut(session.number)


class Fleet:
    """Relays that come and go. For one that died another one comes."""

    def __init__(self, world: World, size: int) -> None:
        self.world = world
        self.here = [Process(world) for _ in range(size)]
        self.gone: list[Process] = []

    def harm(self) -> None:
        """One thing happens to one of them."""
        world = self.world
        match world.random.choice(("kill", "freeze", "cut", "cut")):
            case "kill" if self.here:
                one = self.here.pop(world.random.randrange(len(self.here)))
                one.die()
                self.gone.append(one)
                later = world.random.uniform(0.0, 1.0)
                world.loop.at_large(later, lambda: self.here.append(Process(world)))
            case "freeze" if self.here:
                node = world.random.choice(self.here).node
                node.freeze()
                world.loop.at_large(world.random.uniform(0.1, 3.0), lambda: self.thaw(node))
            case _:
                world.cut(world.random.choice(sorted(world.alive) or [0]))

    def thaw(self, node: Node) -> None:
        if node in (one.node for one in self.here):
            node.thaw()

    def end(self) -> bool:
        """All of them stop, also those that had died."""
        for one in self.here + self.gone:
            one.node.thaw()
            one.node.run(one.relay.stop)
        tasks = [one.task for one in self.here + self.gone]
        return self.world.loop.run_world(
            lambda: all(task.done() for task in tasks), self.world.loop.time() + 60.0
        )


def run(world: World, seconds: float = 12.0) -> Verdict:
    """Writers and harm for a while, then peace until the table is empty; then the judge."""
    fleet = Fleet(world, 3)
    for rate, act in ((12.0, world.write), (1.5, fleet.harm)):
        time = 0.0
        while (time := time + world.random.expovariate(rate)) < seconds:
            world.loop.at_large(time, act)
    loop = world.loop
    ended = loop.run_world(lambda: loop.time() > seconds + 3.0 and not world.rows, 120.0)
    assert fleet.end()
    assert ended, f"rows are left: {sorted(world.rows)}"
    assert loop.faults == []
    loop.close()
    arrivals = [
        Arrival("t", world.key_of[one], one, taken=True, settles=True) for one in world.topic
    ]
    return judge_arrivals(arrivals, {"t": set(world.written)})


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost_or_reordered(seed: int) -> None:
    """Whatever dies when: each key's rows are published in order, repeats step up by one, and the
    newest row is the last."""
    verdict = run(World(seed))
    assert verdict.in_order_and_complete, verdict


def test_without_fences_order_breaks() -> None:
    """The judge would see it: the transactional id of a bucket is what stops a late commit."""
    assert not all(run(World(seed, fences=False)).in_order_and_complete for seed in range(40))
