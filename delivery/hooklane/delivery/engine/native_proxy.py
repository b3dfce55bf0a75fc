"""How the native engine makes a connection through a proxy."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

from hooklane.delivery.engine.faults import (
    connect_timed_out,
    dial_failed,
    handshake_failed,
    shown,
)
from hooklane.delivery.engine.native_dial import tcp
from hooklane.delivery.engine.proxy import (
    Place,
    Proxy,
    has_ended,
    head_fault,
    own_addresses,
    places,
    proxy_failed,
)
from hooklane.delivery.engine.tls import Trust
from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Target
from hooklane.delivery.way import Way

P = TypeVar("P", bound=asyncio.Protocol)


class ProxiedDialler:
    """Makes connections as `Dialler` does, through a proxy."""

    def __init__(self, resolver: Resolver, tls: Trust, proxy: Proxy) -> None:
        self._resolver = resolver
        self._tls = tls
        self._proxy = proxy

    async def connect(
        self, target: Target, limit_s: float, make: Callable[[str], P], way: Way | None = None
    ) -> P | Fault:
        """A protocol of `make` with its connection."""
        own = None if way is None else way.identity
        context = self._tls() if own is None else own.context
        try:
            async with asyncio.timeout(limit_s):
                found = await places(self._resolver, self._proxy, target)
                if isinstance(found, Fault):
                    return found
                return await self._in_turn(found, target, context, make)
        except TimeoutError:
            return connect_timed_out(limit_s, None)

    async def _in_turn(
        self,
        found: tuple[Place, ...],
        target: Target,
        context: ssl.SSLContext,
        make: Callable[[str], P],
    ) -> P | Fault:
        made: P | Fault | None = None
        for place in found:
            made = await self._through(place, target, context, make)
            if not isinstance(made, Fault) or made.kind is not FaultKind.PROXY:
                return made
        assert made is not None  # noqa: S101 - there is one place at least
        return made

    async def _through(
        self, place: Place, target: Target, context: ssl.SSLContext, make: Callable[[str], P]
    ) -> P | Fault:
        tunnel = await self._reached()
        if isinstance(tunnel, Fault):
            return tunnel
        try:
            address = place.shown(tunnel.address)
            if not self._proxy.tunnels(target):
                return _handed_over(tunnel, make(address))
            fault = await tunnel.ask(self._proxy.asking_for(place.name))
            if fault is not None:
                return fault
            return await _secured(tunnel, make(address), context, target, address)
        finally:
            tunnel.let_go()

    async def _reached(self) -> "Tunnel | Fault":
        """A connection to the proxy itself."""
        found = await own_addresses(self._resolver, self._proxy)
        if isinstance(found, Fault):
            return found
        origin = self._proxy.target.origin
        fault: Fault | None = None
        for address in found:
            place = shown(address, origin.port)
            try:
                raw = await tcp(address, origin.port)
            except OSError as error:
                fault = proxy_failed(dial_failed(error, place).detail, place)
                continue
            try:
                _, tunnel = await asyncio.get_running_loop().create_connection(
                    lambda place=place: Tunnel(place),
                    sock=raw,
                    ssl=self._tls() if self._proxy.tls else None,
                    server_hostname=origin.host if self._proxy.tls else None,
                )
            except BaseException as error:
                raw.close()
                if isinstance(error, OSError):
                    return proxy_failed(handshake_failed(error, place).detail, place)
                raise
            return tunnel
        assert fault is not None  # noqa: S101 - there is one address at least
        return fault


class Tunnel(asyncio.Protocol):
    """A connection to a proxy until somebody else takes it over."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.transport: asyncio.Transport | None = None
        self._head = bytearray()
        self._answer: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()

    async def ask(self, request: bytes) -> Fault | None:
        """Ask for the tunnel; why there is none, or None."""
        assert self.transport is not None  # noqa: S101 - only made connections are handed out
        self.transport.write(request)
        return await self._answer

    def take(self) -> asyncio.Transport:
        """The transport, which is somebody else's from now on."""
        assert self.transport is not None  # noqa: S101
        taken, self.transport = self.transport, None
        return taken

    def let_go(self) -> None:
        """End the connection unless it was taken over."""
        if self.transport is not None:
            self.transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if has_ended(self._head):
            self._tell(head_fault(self._head, self.address))

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._tell(proxy_failed("it ended the connection", self.address))

    def _tell(self, result: Fault | None) -> None:
        if not self._answer.done():
            self._answer.set_result(result)


def _handed_over(tunnel: Tunnel, protocol: P) -> P:
    transport = tunnel.take()
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    return protocol


async def _secured(
    tunnel: Tunnel, protocol: P, context: ssl.SSLContext, target: Target, address: str
) -> P | Fault:
    """TLS with the receiver, inside of the tunnel."""
    assert tunnel.transport is not None  # noqa: S101
    try:
        transport = await asyncio.get_running_loop().start_tls(
            tunnel.transport, protocol, context, server_hostname=target.origin.host
        )
    except OSError as error:
        return handshake_failed(error, address)
    if transport is None:
        return proxy_failed("it ended the connection", address)
    tunnel.take()
    protocol.connection_made(transport)
    return protocol
