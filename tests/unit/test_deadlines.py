"""Deadlines: everybody is told on time, in whatever order they begin and end."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hooklane.delivery.engine.deadlines import Deadlines


async def test_each_is_told_after_its_own_time() -> None:
    """Who began first is told first; a longer time-out holds up no shorter one."""
    loop, told = asyncio.get_running_loop(), dict[str, float]()
    ended = asyncio.Event()

    def expire(one: str) -> None:
        told[one] = loop.time()
        if len(told) == 3:
            ended.set()

    deadlines = Deadlines[str](expire)
    began = loop.time()
    deadlines.add("long", 0.12)
    deadlines.add("short", 0.03)
    await asyncio.sleep(0.02)
    deadlines.add("later", 0.03)
    await asyncio.wait_for(ended.wait(), 10.0)
    assert list(told) == ["short", "later", "long"]
    assert all(told[one] - began >= after for one, after in (("short", 0.029), ("later", 0.049)))
    assert list(deadlines) == []


async def test_who_has_ended_is_not_told() -> None:
    """Ended in time, nobody hears of the time-out; who is told may begin the next one."""
    told: list[int] = []
    ended = asyncio.Event()

    def expire(one: int) -> None:
        told.append(one)
        if one == 2:
            deadlines.add(3, 0.01)
        else:
            ended.set()

    deadlines = Deadlines[int](expire)
    deadlines.add(1, 0.01)
    deadlines.add(2, 0.01)
    deadlines.discard(1, 0.01)
    await asyncio.wait_for(ended.wait(), 10.0)
    assert told == [2, 3]


async def test_nobody_is_told_after_the_close() -> None:
    """A closed engine expires nothing."""
    told: list[int] = []
    deadlines = Deadlines[int](told.append)
    deadlines.add(1, 0.01)
    deadlines.close()
    await asyncio.sleep(0.03)
    assert told == []


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0]), st.booleans())))
def test_whoever_began_and_has_not_ended_is_there(steps: list[tuple[int, float, bool]]) -> None:
    """`close` of the engine finds everybody who is under way, and nobody else."""

    async def run() -> None:
        deadlines, twin = Deadlines[tuple[int, float]](lambda _: None), set[tuple[int, float]]()
        for one, timeout_s, begins in steps:
            who = (one, timeout_s)
            if begins:
                deadlines.add(who, timeout_s)
                twin.add(who)
            else:
                deadlines.discard(who, timeout_s)
                twin.discard(who)
        assert set(deadlines) == twin
        deadlines.close()

    asyncio.run(run())
