"""The engine over httpx's transports: slower than `native`, for what only httpx can do."""

import asyncio
from dataclasses import dataclass
from typing import cast

import httpx

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.faults import timed_out
from hooklane.delivery.engine.httpx_faults import exchange_failed
from hooklane.delivery.engine.httpx_proxy import ProxiedDial
from hooklane.delivery.engine.httpx_request import httpx_request, read_up_to, response
from hooklane.delivery.engine.httpx_transport import JudgedTransport
from hooklane.delivery.engine.proxy import Proxy, through
from hooklane.delivery.engine.tls import Trust
from hooklane.delivery.engine.wire import UnsendableError, absolute
from hooklane.delivery.exchange import Done, Fault, FaultKind, Request, Response
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import InvalidUrl, Target, read_target
from hooklane.delivery.tasks import Tasked, Tasks
from hooklane.delivery.way import Line

_SWEEP_S = 1.0


@dataclass(slots=True)
class _Kept:
    """A transport that carries one exchange at a time; `born` and `idle_since` are loop times."""

    transport: JudgedTransport
    born: float
    idle_since: float = 0.0


class HttpxEngine:
    """One task an exchange, one transport a connection.

    httpx's own pool walks over all its connections twice a request; with one connection in each
    transport and a stack of idle ones for each origin, nothing is walked, and an origin that
    hangs has nothing that another one waits for.
    """

    def __init__(
        self,
        resolver: Resolver,
        tls: Trust,
        bounds: Bounds | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._proxy = proxy
        self._proxied = None if proxy is None else ProxiedDial(resolver, tls, proxy)
        self._resolver = resolver
        self._tls = tls
        self._bounds = bounds or Bounds()
        self._idle: dict[Line, list[_Kept]] = {}
        self._tasks = Tasks()
        self._sweeper: asyncio.Task[None] | None = None

    def start(self, request: Request, done: Done) -> Tasked:
        if self._proxy is not None and request.url.lower().startswith("http:"):
            done = through(done)
        return self._tasks.start(self._exchange(request), done)

    async def close(self) -> None:
        """Cut off what runs and close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._tasks.close()
        every = [kept for stack in self._idle.values() for kept in stack]
        self._idle.clear()
        for kept in every:
            await kept.transport.aclose()

    async def _exchange(self, request: Request) -> Response | Fault:
        target = read_target(request.url)
        if isinstance(target, InvalidUrl):
            return Fault(FaultKind.INVALID_URL, target.detail)
        line = target.origin if request.way is None else request.way.line(target.origin)
        kept = self._take(line, target, request)
        result: Response | Fault | None = None
        try:
            async with asyncio.timeout(request.timeout_s):
                result = await self._send(request, target, kept.transport)
        except TimeoutError:
            result = timed_out(request.timeout_s, kept.transport.address)
        except UnsendableError as error:
            result = Fault(FaultKind.SETUP, str(error))
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            result = exchange_failed(error, kept.transport.address)
        finally:
            if isinstance(result, Response) and self._fit(kept):
                self._give_back(line, kept)
            else:
                await kept.transport.aclose()
        return result

    async def _send(self, request: Request, target: Target, transport: JudgedTransport) -> Response:
        transport.first_byte_s = None if request.way is None else request.way.first_byte_s
        proxied = self._proxy is not None and not self._proxy.tunnels(target)
        asked = _asked(request, target, self._proxy if proxied else None)
        answer = await transport.handle_async_request(asked)
        stream = cast("httpx.AsyncByteStream", answer.stream)
        body, _ = await read_up_to(self._bounds.body_bytes, stream)
        return response(answer, body, transport.address or "")

    def _take(self, line: Line, target: Target, request: Request) -> _Kept:
        stack = self._idle.get(line)
        if stack:
            return stack.pop()
        way = request.way
        tls = self._tls() if way is None or way.identity is None else way.identity.context
        transport = JudgedTransport(target, self._resolver, tls, self._bounds, self._proxied)
        return _Kept(transport, asyncio.get_running_loop().time())

    def _fit(self, kept: _Kept) -> bool:
        age_s = asyncio.get_running_loop().time() - kept.born
        return kept.transport.usable and age_s < self._bounds.age_s

    def _give_back(self, line: Line, kept: _Kept) -> None:
        loop = asyncio.get_running_loop()
        kept.idle_since = loop.time()
        self._idle.setdefault(line, []).append(kept)
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = loop.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Close what has been idle too long, until nothing is idle any more."""
        loop = asyncio.get_running_loop()
        while self._idle:
            await asyncio.sleep(min(_SWEEP_S, self._bounds.idle_s))
            for kept in self._expired(loop.time() - self._bounds.idle_s):
                await kept.transport.aclose()

    def _expired(self, before: float) -> list[_Kept]:
        expired = []
        for line, stack in list(self._idle.items()):
            expired += [kept for kept in stack if kept.idle_since <= before]
            stack[:] = [kept for kept in stack if kept.idle_since > before]
            if not stack:
                del self._idle[line]
        return expired


def _asked(request: Request, target: Target, proxy: Proxy | None) -> httpx.Request:
    """`proxy`: the one that is asked for the request itself."""
    wanted = target.path if proxy is None else absolute(target)
    origin = target.origin
    return httpx_request(
        request,
        target,
        httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port),
        {"target": wanted.encode(), "timeout": {"connect": request.connect_timeout_s}},
        () if proxy is None else proxy.headers(),
    )
