"""An httpx transport that reaches one target over one connection, by judged addresses only."""

import ssl
from collections.abc import AsyncIterator
from typing import cast

import httpcore
import httpx

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.faults import Faulted, connection_lost
from hooklane.delivery.engine.httpx_dial import JudgedBackend
from hooklane.delivery.engine.httpx_faults import exchange_failed
from hooklane.delivery.engine.httpx_proxy import ProxiedDial
from hooklane.delivery.exchange import Fault
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Target


class JudgedTransport(httpx.AsyncBaseTransport):
    """Its connection is made when it is needed, and made anew when the peer has ended it.

    Raises `Faulted` and nothing else, from requests and from reading their bodies.
    """

    def __init__(
        self,
        target: Target,
        resolver: Resolver,
        tls: ssl.SSLContext,
        bounds: Bounds,
        proxied: ProxiedDial | None = None,
    ) -> None:
        self._backend = JudgedBackend(target, resolver, bounds, proxied)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=1,
            keepalive_expiry=bounds.idle_s,
            network_backend=self._backend,
        )

    @property
    def first_byte_s(self) -> float | None:
        """The longest wait for the first byte of the next answer."""
        return self._backend.first_byte_s

    @first_byte_s.setter
    def first_byte_s(self, limit_s: float | None) -> None:
        self._backend.first_byte_s = limit_s

    @property
    def address(self) -> str | None:
        """The dialled address and port, once there is one."""
        return self._backend.address

    @property
    def usable(self) -> bool:
        """Whether nothing came that nobody asked for."""
        return self._backend.stream is None or not self._backend.stream.reply.surplus

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=cast("httpx.AsyncByteStream", request.stream),
            extensions=request.extensions,
        )
        if self._backend.stream is not None:
            self._backend.stream.reply.begin()
        try:
            answer = await self._pool.handle_async_request(asked)
        except Exception as error:
            raise Faulted(self.fault(error)) from error
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(cast("httpx.AsyncByteStream", answer.stream), self),
            extensions=answer.extensions,
        )

    def fault(self, error: Exception) -> Fault:
        stream = self._backend.stream
        if stream is not None and stream.ended and not isinstance(error, Faulted):
            return connection_lost(error, self._backend.address)
        return exchange_failed(error, self._backend.address)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, transport: JudgedTransport) -> None:
        self._stream = stream
        self._transport = transport

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._stream:
                yield part
        except Exception as error:
            raise Faulted(self._transport.fault(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()
