"""A small real HTTP receiver for tests: it keeps what came in and answers as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.receiver_script import Peer, ScriptedServer, scripted


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook that came in. Header names in lower case; `at`: monotonic seconds."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer, after `delay_s` seconds. `headers` beside the length."""

    status: int = 200
    body: bytes = b"ok"
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0


OK = Answer()


class Receiver:
    """Answers every request, in order on each connection. `hooks` are in the order of arrival."""

    def __init__(self, server: ScriptedServer, log: "_Log") -> None:
        self._server = server
        self._log = log

    @property
    def hooks(self) -> list[Hook]:
        return self._log.hooks

    @property
    def connections(self) -> int:
        return self._server.connections

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return self._server.url(path, host=host)

    async def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Hook]:
        """The hooks once there are `count`.

        Raises:
            AssertionError: there are fewer after `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s), self._log.changed:
                await self._log.changed.wait_for(lambda: len(self.hooks) >= count)
        except TimeoutError:
            message = f"{len(self.hooks)} hooks after {timeout_s} s, not {count}"
            raise AssertionError(message) from None
        return self.hooks


class _Log:
    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.changed = asyncio.Condition()

    async def add(self, hook: Hook) -> None:
        async with self.changed:
            self.hooks.append(hook)
            self.changed.notify_all()


@asynccontextmanager
async def receiver(respond: Callable[[Hook], Answer] = lambda _: OK) -> AsyncIterator[Receiver]:
    """Run a receiver on a free loopback port; `respond` decides each answer."""
    log = _Log()

    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            path = request.line.split(" ")[1]
            hook = Hook(path, dict(request.headers), request.body, time.monotonic())
            await log.add(hook)
            await _answer(peer, respond(hook))

    async with scripted(serve) as server:
        yield Receiver(server, log)


async def _answer(peer: Peer, answer: Answer) -> None:
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    head = f"HTTP/1.1 {answer.status} -\r\n{headers}content-length: {len(answer.body)}\r\n\r\n"
    await peer.send(head.encode("latin-1") + answer.body)
