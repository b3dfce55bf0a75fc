"""An engine's callbacks as something that a test can await."""

import asyncio
from collections.abc import Callable

from hooklane.delivery.exchange import Engine, Fault, FaultKind, Request, Response, Running


class Driver:
    """Runs exchanges and checks the engine's own promise: one end, and never within `start`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def begin(self, request: Request) -> tuple[Running, asyncio.Future[Response | Fault]]:
        ended: asyncio.Future[Response | Fault] = asyncio.get_running_loop().create_future()
        inside = True

        def done(result: Response | Fault) -> None:
            assert not inside, "told within start"
            ended.set_result(result)  # raises if told twice

        running = self.engine.start(request, done)
        inside = False
        return running, ended

    async def run(self, request: Request) -> Response | Fault:
        async with asyncio.timeout(20):
            return await self.begin(request)[1]

    async def response(self, request: Request) -> Response:
        result = await self.run(request)
        assert isinstance(result, Response), result
        return result

    async def fault(self, request: Request) -> tuple[FaultKind, str | None]:
        result = await self.run(request)
        assert isinstance(result, Fault), result
        assert result.detail
        return result.kind, result.address


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds; five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)
