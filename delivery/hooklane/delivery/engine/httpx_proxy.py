"""How httpcore reaches the network through a proxy: a stream that is the receiver's already.

httpcore's own proxy support asks for names only; a judged address must be asked for as one.
"""

from typing import Final

import httpcore

from hooklane.delivery.engine.faults import Faulted, dial_failed, handshake_failed, shown
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

_PART: Final = 4096


class ProxiedDial:
    """Dials receivers through one proxy."""

    def __init__(self, resolver: Resolver, tls: Trust, proxy: Proxy) -> None:
        self._resolver = resolver
        self._tls = tls
        self._proxy = proxy
        self._tcp = httpcore.AnyIOBackend()

    async def connect(self, target: Target) -> tuple[httpcore.AsyncNetworkStream, str]:
        """A stream to `target`, and how its address is shown.

        Raises:
            Faulted: there is none.
        """
        found = await places(self._resolver, self._proxy, target)
        if isinstance(found, Fault):
            raise Faulted(found)
        *others, last = found
        for place in others:
            try:
                return await self._through(place, target)
            except Faulted as error:
                if error.fault.kind is not FaultKind.PROXY:
                    raise
        return await self._through(last, target)

    async def _through(
        self, place: Place, target: Target
    ) -> tuple[httpcore.AsyncNetworkStream, str]:
        stream, own = await self._reached()
        if self._proxy.tunnels(target):
            try:
                await self._ask(stream, self._proxy.asking_for(place.name), own)
            except BaseException:
                await stream.aclose()
                raise
        return stream, place.shown(own)

    async def _reached(self) -> tuple[httpcore.AsyncNetworkStream, str]:
        found = await own_addresses(self._resolver, self._proxy)
        if isinstance(found, Fault):
            raise Faulted(found)
        origin = self._proxy.target.origin
        fault: Fault | None = None
        for address in found:
            place = shown(address, origin.port)
            try:
                stream = await self._tcp.connect_tcp(str(address), origin.port)
            except httpcore.ConnectError as error:
                fault = proxy_failed(dial_failed(error, place).detail, place)
                continue
            return await self._secured(stream, place), place
        assert fault is not None  # noqa: S101 - there is one address at least
        raise Faulted(fault)

    async def _secured(
        self, stream: httpcore.AsyncNetworkStream, place: str
    ) -> httpcore.AsyncNetworkStream:
        """TLS with the proxy itself, where it is spoken to so."""
        if not self._proxy.tls:
            return stream
        try:
            return await stream.start_tls(self._tls(), self._proxy.target.origin.host)
        except (httpcore.ConnectError, OSError) as error:
            await stream.aclose()
            raise Faulted(proxy_failed(handshake_failed(error, place).detail, place)) from error
        except BaseException:
            await stream.aclose()
            raise

    async def _ask(self, stream: httpcore.AsyncNetworkStream, request: bytes, own: str) -> None:
        head = bytearray()
        try:
            await stream.write(request)
            while not has_ended(head):
                part = await stream.read(_PART)
                if not part:
                    raise Faulted(proxy_failed("it ended the connection", own))
                head += part
        except (httpcore.ReadError, httpcore.WriteError) as error:
            raise Faulted(proxy_failed("it ended the connection", own)) from error
        fault = head_fault(head, own)
        if fault is not None:
            raise Faulted(fault)
