"""The engine over transports of somebody else's making: HTTP/2, SOCKS and what else there is."""

import asyncio
import ssl
from typing import Final, Protocol

import httpx

from hooklane.delivery.engine.addresses import addresses_by
from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.faults import over_bounds, shown, timed_out
from hooklane.delivery.engine.httpx_faults import exchange_failed
from hooklane.delivery.engine.httpx_lines import Make, Transports
from hooklane.delivery.engine.httpx_request import httpx_request, read_up_to, response
from hooklane.delivery.engine.httpx_trail import Trail
from hooklane.delivery.engine.wire import UnsendableError
from hooklane.delivery.exchange import Done, Fault, FaultKind, Request, Response
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Address, InvalidUrl, Target, read_target
from hooklane.delivery.tasks import Tasked, Tasks
from hooklane.runtime.errors import SettingsError

_NOT_REACHED: Final = frozenset(
    {FaultKind.CONNECTION_REFUSED, FaultKind.CONNECT_TIMEOUT, FaultKind.PROXY}
)
"""Faults before anything of the request was sent: another address may be tried."""


class Trusting(Protocol):
    """The service's own authorities (engine.authorities)."""

    def __call__(self) -> ssl.SSLContext: ...
    def fresh(self) -> ssl.SSLContext: ...


class TransportEngine:
    """One task an exchange, one transport a line, and as many connections as the transport likes.

    A transport is asked for a judged address, and told by `Host` and the extension `sni_hostname`
    whom that is to be: it looks nothing up, nor does a proxy of its own. What it does not take
    from a receiver is its own affair; sizes and times are ours.
    """

    def __init__(
        self, resolver: Resolver, trust: Trusting, make: Make, bounds: Bounds | None = None
    ) -> None:
        """
        Raises:
            SettingsError: no transport can be made.
        """
        self._resolver = resolver
        self._trust = trust
        self._bounds = bounds or Bounds()
        self._tasks = Tasks()
        # httpcore sets ALPN on the context that it is given, so that is never the other engines'.
        self._trusted = trust()
        self._apart = trust.fresh()
        self._transports = Transports(make, self._bounds, self._apart)

    def start(self, request: Request, done: Done) -> Tasked:
        return self._tasks.start(self._exchange(request), done)

    async def close(self) -> None:
        """Cut off what runs and close every transport."""
        await self._tasks.close()
        await self._transports.close()

    async def _exchange(self, request: Request) -> Response | Fault:
        target = read_target(request.url)
        if isinstance(target, InvalidUrl):
            return Fault(FaultKind.INVALID_URL, target.detail)
        tried: list[str] = []
        total = asyncio.timeout(request.timeout_s)
        try:
            async with total:
                return await self._in_turn(request, target, tried)
        except (UnsendableError, SettingsError) as error:
            return Fault(FaultKind.SETUP, str(error))
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            place = tried[-1] if tried else None
            if total.expired():
                return timed_out(request.timeout_s, place)
            return exchange_failed(error, place)

    async def _in_turn(
        self, request: Request, target: Target, tried: list[str]
    ) -> Response | Fault:
        """With each judged address, until one is reached; `tried` is told of them."""
        loop, limit_s = asyncio.get_running_loop(), request.connect_timeout_s
        deadline = loop.time() + limit_s
        found = await addresses_by(deadline, self._resolver, target, limit_s)
        if isinstance(found, Fault):
            return found
        *others, last = found
        for address in others:
            tried.append(shown(address, target.origin.port))
            result = await self._with(address, request, target, deadline)
            unreached = isinstance(result, Fault) and result.kind in _NOT_REACHED
            if not unreached or loop.time() >= deadline:
                return result
        tried.append(shown(last, target.origin.port))
        return await self._with(last, request, target, deadline)

    async def _with(
        self, address: Address, request: Request, target: Target, deadline: float
    ) -> Response | Fault:
        way = request.way
        trail = Trail(
            shown(address, target.origin.port),
            request.connect_timeout_s,
            deadline,
            None if way is None else way.first_byte_s,
        )
        asked = _asked(address, request, target, deadline, trail)
        line = target.origin if way is None else way.line(target.origin)
        identity = None if way is None else way.identity
        lent = self._transports.take(line, self._own() if identity is None else identity.apart())
        whole = False
        try:
            result, whole = await self._sent(lent.transport, asked, trail)
        finally:
            # What was cut off goes on in a connection that others share: they get another one.
            self._transports.give_back(line, lent, fit=whole or trail.alone)
            await trail.let_go()
        return result

    async def _sent(
        self, transport: httpx.AsyncBaseTransport, asked: httpx.Request, trail: Trail
    ) -> tuple[Response | Fault, bool]:
        """What came back, and whether it ended by itself."""
        try:
            async with trail.limit:
                answer = await transport.handle_async_request(asked)
                trail.answered()
            return await self._read(answer, trail.place)
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            if trail.limit.expired():
                return trail.ran_out(), False
            return trail.failed(error), True

    async def _read(self, answer: httpx.Response, place: str) -> tuple[Response | Fault, bool]:
        stream = answer.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - by httpx's interface
        excess = _excess(answer, self._bounds)
        if excess is not None:
            await stream.aclose()
            return over_bounds(excess, place), False
        body, whole = await read_up_to(self._bounds.body_bytes, stream)
        return response(answer, body, place), whole

    def _own(self) -> ssl.SSLContext:
        """The service's trust as it is now, in a context of this engine's own.

        One for all lines: to make one takes 20 ms and a megabyte with the system's authorities, and
        what the transports set on it is the same for all, being made by the same call.
        """
        trusted = self._trust()
        if trusted is not self._trusted:
            self._trusted, self._apart = trusted, self._trust.fresh()
        return self._apart


def _asked(
    address: Address, request: Request, target: Target, deadline: float, trail: Trail
) -> httpx.Request:
    origin, path = target.origin, target.path.encode()
    url = httpx.URL(scheme=origin.scheme, host=str(address), port=origin.port, raw_path=path)
    left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
    extensions = {"sni_hostname": origin.host, "timeout": {"connect": left_s}, "trace": trail}
    if url.raw_path != path:
        # httpx.URL takes dots out of paths. Not always: httpcore's HTTP proxies stumble over it.
        extensions["target"] = path
    return httpx_request(request, target, url, extensions)


def _excess(answer: httpx.Response, bounds: Bounds) -> str | None:
    """What makes an answer unusable that its transport has taken."""
    if answer.status_code < 200:
        return "it switches to another protocol"
    pairs = answer.headers.raw
    if len(pairs) > bounds.headers:
        return f"it has more than {bounds.headers} headers"
    if sum(len(name) + len(value) + 4 for name, value in pairs) > bounds.head_bytes:
        return f"its head is above {bounds.head_bytes} bytes"
    return None
