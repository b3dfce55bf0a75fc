"""The default engine: asyncio protocols and httptools, no task for a request."""

import asyncio
from collections.abc import Callable

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.connection import Connection
from hooklane.delivery.engine.deadlines import Deadlines
from hooklane.delivery.engine.faults import (
    UNSENT,
    connection_ended,
    first_byte_timed_out,
    timed_out,
    unforeseen,
)
from hooklane.delivery.engine.native_dial import Dialler
from hooklane.delivery.engine.native_proxy import ProxiedDialler
from hooklane.delivery.engine.pool import Idle
from hooklane.delivery.engine.proxy import Proxy, through
from hooklane.delivery.engine.tls import Trust
from hooklane.delivery.engine.wire import UnsendableError, serialized
from hooklane.delivery.exchange import Done, Fault, FaultKind, Request, Response
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import InvalidUrl, Target, read_target
from hooklane.delivery.way import Line

_SWEEP_S = 1.0


class NativeEngine:
    """Reuses the connection of an origin that was used last, or makes one.

    A request that a peer may have taken, if only in part, is never written again: it is a failed
    attempt. One of which nothing left this host, since a kept connection had ended already, goes
    over a new one.
    """

    def __init__(
        self,
        resolver: Resolver,
        tls: Trust,
        bounds: Bounds | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._proxy = proxy
        self._dialler = (
            Dialler(resolver, tls) if proxy is None else ProxiedDialler(resolver, tls, proxy)
        )
        self._idle = Idle()
        self._running = Deadlines[Exchange](Exchange.expire)
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self, request: Request, done: Done) -> "Exchange":
        loop = asyncio.get_running_loop()
        way = request.way
        exchange = Exchange(done, request.timeout_s, self._running.discard)
        self._running.add(exchange, request.timeout_s)
        if way is not None:
            exchange.first_byte_s = way.first_byte_s
        target = read_target(request.url)
        if isinstance(target, InvalidUrl):
            loop.call_soon(exchange.end, Fault(FaultKind.INVALID_URL, target.detail))
            return exchange
        try:
            if self._proxy is None or self._proxy.tunnels(target):
                data = serialized(request, target)
            else:
                data = serialized(request, target, self._proxy.headers())
                exchange.pass_through_proxy()
        except UnsendableError as error:
            loop.call_soon(exchange.end, Fault(FaultKind.SETUP, str(error)))
            return exchange
        connection = self._take(target.origin if way is None else way.line(target.origin))
        if connection is not None:
            exchange.again = (self, target, request, data)
            exchange.send(connection, data)
        else:
            self.connect(exchange, target, request, data)
        return exchange

    def connect(self, exchange: "Exchange", target: Target, request: Request, data: bytes) -> None:
        """Send over a new connection."""
        connecting = self._connect(exchange, target, request, data)
        exchange.connecting = asyncio.get_running_loop().create_task(connecting)

    async def close(self) -> None:
        """Cut off what runs and close every connection."""
        tasks = [one.connecting for one in self._running if one.connecting is not None]
        for exchange in self._running:
            exchange.cancel()
        self._running.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._idle.all():
            connection.drop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        # Aborted transports tell their protocols in the next turn of the loop.
        await asyncio.sleep(0)

    def _take(self, line: Line) -> Connection | None:
        while (connection := self._idle.take(line)) is not None:
            if connection.usable:
                return connection
        return None

    async def _connect(
        self, exchange: "Exchange", target: Target, request: Request, data: bytes
    ) -> None:
        way, limit_s = request.way, request.connect_timeout_s
        home = _Home(self, target.origin if way is None else way.line(target.origin))
        made: Connection | Fault
        try:
            made = await self._dialler.connect(
                target, limit_s, lambda address: Connection(home, address, self._bounds), way
            )
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            made = unforeseen(error, None)
        exchange.connecting = None
        if isinstance(made, Fault):
            exchange.end(made)
        else:
            exchange.send(made, data)

    def give_back(self, line: Line, connection: Connection) -> None:
        """An exchange has left its connection in good order."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - connection.born >= self._bounds.age_s:
            connection.drop()
            return
        connection.idle_since = now
        self._idle.put(line, connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._sweep_s(), self._sweep)

    def forget(self, line: Line, connection: Connection) -> None:
        """A connection has ended."""
        self._idle.remove(line, connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self._idle.expired(loop.time() - self._bounds.idle_s):
            connection.drop()
        self._sweeper = loop.call_later(self._sweep_s(), self._sweep) if self._idle else None

    def _sweep_s(self) -> float:
        return min(_SWEEP_S, self._bounds.idle_s)


class _Home:
    """Which line a connection belongs to."""

    __slots__ = ("_engine", "_line")

    def __init__(self, engine: NativeEngine, line: Line) -> None:
        self._engine = engine
        self._line = line

    def idle(self, connection: Connection) -> None:
        self._engine.give_back(self._line, connection)

    def lost(self, connection: Connection) -> None:
        self._engine.forget(self._line, connection)


class Exchange:
    """One request under way; its end is told once, or never after `cancel`."""

    __slots__ = (
        "_connection",
        "_done",
        "_forget",
        "_timeout_s",
        "again",
        "connecting",
        "first_byte",
        "first_byte_s",
    )

    def __init__(
        self, done: Done, timeout_s: float, forget: Callable[["Exchange", float], None]
    ) -> None:
        self.connecting: asyncio.Task[None] | None = None
        self.first_byte_s: float | None = None
        self.first_byte: asyncio.TimerHandle | None = None
        self.again: tuple[NativeEngine, Target, Request, bytes] | None = None
        """What to send once more, should nothing of it leave over a kept connection."""
        self._connection: Connection | None = None
        self._done: Done | None = done
        self._timeout_s = timeout_s
        self._forget = forget

    def pass_through_proxy(self) -> None:
        """What answers is a proxy, which may have words of its own."""
        if self._done is not None:
            self._done = through(self._done)

    def send(self, connection: Connection, data: bytes) -> None:
        if self._done is None:
            connection.drop()
            return
        if not connection.usable:
            # It ended between its making and this turn of the loop: nothing was sent.
            self.end(connection_ended(connection.address))
            return
        self._connection = connection
        connection.send(data, self.end)
        if self.first_byte_s is not None:
            loop = asyncio.get_running_loop()
            self.first_byte = loop.call_later(self.first_byte_s, self._check_first_byte)

    def end(self, result: Response | Fault) -> None:
        if result is UNSENT and self._connection is not None:
            result = connection_ended(self._connection.address)
            if self.again is not None and self._done is not None:
                (engine, target, request, data), self.again = self.again, None
                self._connection = None
                if self.first_byte is not None:
                    self.first_byte.cancel()
                engine.connect(self, target, request, data)
                return
        done, self._done = self._done, None
        self._leave()
        if done is None:
            return
        try:
            done(result)
        except Exception as error:  # noqa: BLE001 - not the connection's fault
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the end of an exchange could not be told", "exception": error}
            )

    def expire(self) -> None:
        address = None if self._connection is None else self._connection.address
        self._cut()
        self.end(timed_out(self._timeout_s, address))

    def cancel(self) -> None:
        self._done = None
        self._cut()
        self._leave()

    def _check_first_byte(self) -> None:
        connection = self._connection
        if connection is not None and not connection.answering:
            self._cut()
            self.end(first_byte_timed_out(self.first_byte_s or 0.0, connection.address))

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.drop()
        if self.connecting is not None:
            self.connecting.cancel()

    def _leave(self) -> None:
        self._connection = None
        if self.first_byte is not None:
            self.first_byte.cancel()
        self._forget(self, self._timeout_s)
