"""Everything at once: whatever goes wrong beside it, an answer belongs to its own request."""

import asyncio
import random

import pytest

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.exchange import Response
from tests.conformance.conftest import Make, post
from tests.conformance.driver import Driver
from tests.support.receiver_script import Peer, scripted


class Storm:
    """A receiver in bad moods, by seed: of each twenty requests one meets each mood.

    Dealt, not thrown: which request meets which mood is chance, but each is met.
    """

    def __init__(self, seed: int, surplus: bytes) -> None:
        """`surplus`: what it says behind some of its answers."""
        self.dice = random.Random(seed)
        self._surplus = surplus
        self._moods: list[int] = []

    def _mood(self) -> int:
        if not self._moods:
            self._moods = self.dice.sample(range(20), 20)
        return self._moods.pop()

    async def __call__(self, peer: Peer) -> None:
        while True:
            body = (await peer.request()).body
            await asyncio.sleep(self.dice.choice([0, 0, 0.001, 0.01]))
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            if not await self._answer(peer, answer):
                return

    async def _answer(self, peer: Peer, answer: bytes) -> bool:
        """Whether the connection goes on."""
        match self._mood():
            case 0:
                peer.reset()
                return False
            case 1:
                await peer.send(answer[: self.dice.randrange(len(answer))])
                return False
            case 2:
                await peer.gone()
            case 3:
                await peer.send(answer + self._surplus)
            case 4:
                await peer.send(answer[:-1])
                await asyncio.sleep(0.005)
                await peer.send(answer[-1:])
            case 5:
                await peer.send(answer)
                return False
            case _:
                await peer.send(answer)
        return True


async def end(engine: Driver, url: str, dice: random.Random, number: int) -> str:
    """How one exchange ended, in a word; its answer must be its own."""
    body = b"%d-" % number * dice.choice([1, 1, 2000])
    running, ended = engine.begin(post(url, body=body, timeout_s=1.0))
    if dice.random() < 0.1:
        await asyncio.sleep(dice.random() * 0.01)
        running.cancel()
        return "cancelled"
    result = await ended
    if isinstance(result, Response):
        assert result.body == body
        return "answered"
    return result.kind


@pytest.mark.parametrize("seed", range(2))
async def test_storm(make: Make, seed: int, weaker: bool) -> None:
    """Of 160 exchanges with resets, hangs, cancels, surplus and early ends each is told once, and
    every answer is the one to its own request."""
    storm = Storm(seed, b"" if weaker else b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!")
    driver = make(bounds=Bounds(idle_s=0.05))
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
    async with scripted(storm) as server, asyncio.timeout(90):
        url = server.url()

        async def some(first: int) -> list[str]:
            numbers = range(first, 160, 16)
            return [await end(driver, url, storm.dice, number) for number in numbers]

        ends = await asyncio.gather(*(some(first) for first in range(16)))
    words = [word for some_ends in ends for word in some_ends]
    assert set(words) == {"answered", "cancelled", "reset", "timeout"} | (
        {"protocol"} if weaker else set()
    )
    assert words.count("answered") > 80
    await driver.engine.close()
    await asyncio.sleep(0)
    assert problems == []
