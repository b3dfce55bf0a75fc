"""The default engine: asyncio protocols and httptools, no task for a request."""

import asyncio
import ssl
from collections.abc import Callable

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.connection import Connection
from hooklane.delivery.engine.faults import connection_ended, exchange_failed, timed_out
from hooklane.delivery.engine.native_dial import Dialler
from hooklane.delivery.engine.pool import Idle
from hooklane.delivery.engine.wire import UnsendableError, serialized
from hooklane.delivery.exchange import Done, Fault, FaultKind, Request, Response
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import InvalidUrl, Origin, Target, read_target

_SWEEP_S = 1.0


class NativeEngine:
    """Reuses the connection of an origin that was used last, or makes one.

    A request that was written is never written again: whether a peer that went away has taken it
    cannot be known, so it is a failed attempt.
    """

    def __init__(
        self, resolver: Resolver, tls: ssl.SSLContext, bounds: Bounds | None = None
    ) -> None:
        self._bounds = bounds or Bounds()
        self._dialler = Dialler(resolver, tls)
        self._idle = Idle()
        self._running: set[Exchange] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def start(self, request: Request, done: Done) -> "Exchange":
        loop = asyncio.get_running_loop()
        exchange = Exchange(done, request.timeout_s, self._running.discard)
        self._running.add(exchange)
        target = read_target(request.url)
        if isinstance(target, InvalidUrl):
            loop.call_soon(exchange.end, Fault(FaultKind.INVALID_URL, target.detail))
            return exchange
        try:
            data = serialized(request, target)
        except UnsendableError as error:
            loop.call_soon(exchange.end, Fault(FaultKind.SETUP, str(error)))
            return exchange
        exchange.timer = loop.call_later(request.timeout_s, exchange.expire)
        connection = self._take(target.origin)
        if connection is not None:
            exchange.send(connection, data)
        else:
            connecting = self._connect(exchange, target, request.connect_timeout_s, data)
            exchange.connecting = loop.create_task(connecting)
        return exchange

    async def close(self) -> None:
        """Cut off what runs and close every connection."""
        tasks = [one.connecting for one in self._running if one.connecting is not None]
        for exchange in tuple(self._running):
            exchange.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._idle.all():
            connection.drop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        # Aborted transports tell their protocols in the next turn of the loop.
        await asyncio.sleep(0)

    def _take(self, origin: Origin) -> Connection | None:
        while (connection := self._idle.take(origin)) is not None:
            if connection.usable:
                return connection
        return None

    async def _connect(
        self, exchange: "Exchange", target: Target, limit_s: float, data: bytes
    ) -> None:
        home = _Home(self, target.origin)
        made: Connection | Fault
        try:
            made = await self._dialler.connect(
                target, limit_s, lambda address: Connection(home, address, self._bounds)
            )
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            made = exchange_failed(error, None)
        exchange.connecting = None
        if isinstance(made, Fault):
            exchange.end(made)
        else:
            exchange.send(made, data)

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """An exchange has left its connection in good order."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - connection.born >= self._bounds.age_s:
            connection.drop()
            return
        connection.idle_since = now
        self._idle.put(origin, connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._sweep_s(), self._sweep)

    def forget(self, origin: Origin, connection: Connection) -> None:
        """A connection has ended."""
        self._idle.remove(origin, connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in self._idle.expired(loop.time() - self._bounds.idle_s):
            connection.drop()
        self._sweeper = loop.call_later(self._sweep_s(), self._sweep) if self._idle else None

    def _sweep_s(self) -> float:
        return min(_SWEEP_S, self._bounds.idle_s)


class _Home:
    """Which origin a connection belongs to."""

    __slots__ = ("_engine", "_origin")

    def __init__(self, engine: NativeEngine, origin: Origin) -> None:
        self._engine = engine
        self._origin = origin

    def idle(self, connection: Connection) -> None:
        self._engine.give_back(self._origin, connection)

    def lost(self, connection: Connection) -> None:
        self._engine.forget(self._origin, connection)


class Exchange:
    """One request under way; its end is told once, or never after `cancel`."""

    __slots__ = ("_connection", "_done", "_forget", "_timeout_s", "connecting", "timer")

    def __init__(self, done: Done, timeout_s: float, forget: Callable[["Exchange"], None]) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self.connecting: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._done: Done | None = done
        self._timeout_s = timeout_s
        self._forget = forget

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

    def end(self, result: Response | Fault) -> None:
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

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.drop()
        if self.connecting is not None:
            self.connecting.cancel()

    def _leave(self) -> None:
        self._connection = None
        if self.timer is not None:
            self.timer.cancel()
        self._forget(self)
