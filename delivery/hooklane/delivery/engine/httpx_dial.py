"""How httpcore reaches the network here: only judged addresses, within one connect timeout."""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from hooklane.delivery.engine.addresses import addresses_by
from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.faults import (
    Faulted,
    connect_timed_out,
    dial_failed,
    first_byte_timed_out,
    handshake_failed,
    not_http,
    shown,
)
from hooklane.delivery.engine.httpx_proxy import ProxiedDial
from hooklane.delivery.engine.reply import BadReplyError, Reply
from hooklane.delivery.exchange import Fault
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Address, Target


class JudgedBackend(httpcore.AsyncNetworkBackend):
    """Dials one target: looks it up, has every address judged, connects to a judged address.

    `address` is the one that was dialled last. The host that httpcore asks for is not looked at;
    it stays what certificates and SNI are checked with.
    """

    def __init__(
        self,
        target: Target,
        resolver: Resolver,
        bounds: Bounds,
        proxied: ProxiedDial | None = None,
    ) -> None:
        self._proxied = proxied
        self.bounds = bounds
        self.address: str | None = None
        self.stream: Stream | None = None
        self.first_byte_s: float | None = None
        self._target = target
        self._resolver = resolver
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the judged address is dialled, never a name
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        limit_s = timeout if timeout is not None else 60.0
        deadline = asyncio.get_running_loop().time() + limit_s
        self.address = None
        self.stream = Stream(await self._connect(port, limit_s, deadline), self, limit_s, deadline)
        return self.stream

    async def _connect(
        self, port: int, limit_s: float, deadline: float
    ) -> httpcore.AsyncNetworkStream:
        if self._proxied is not None:
            return await self._through(self._proxied, limit_s, deadline)
        found = await addresses_by(deadline, self._resolver, self._target, limit_s)
        if isinstance(found, Fault):
            raise Faulted(found)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._first(found, port)
        except TimeoutError as error:
            raise Faulted(connect_timed_out(limit_s, self.address)) from error

    async def _through(
        self, proxied: ProxiedDial, limit_s: float, deadline: float
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout_at(deadline):
                stream, self.address = await proxied.connect(self._target)
        except TimeoutError as error:
            raise Faulted(connect_timed_out(limit_s, None)) from error
        return stream

    async def _first(
        self, addresses: tuple[Address, ...], port: int
    ) -> httpcore.AsyncNetworkStream:
        *others, last = addresses
        for address in others:
            try:
                return await self._dial(address, port)
            except httpcore.ConnectError:
                continue
        try:
            return await self._dial(last, port)
        except httpcore.ConnectError as error:
            raise Faulted(dial_failed(error, self.address)) from error

    async def _dial(self, address: Address, port: int) -> httpcore.AsyncNetworkStream:
        self.address = shown(address, port)
        return await self._tcp.connect_tcp(str(address), port)


class Stream(httpcore.AsyncNetworkStream):
    """A connection whose TLS handshake must fit what the connect timeout has left.

    It reads along with httpcore: h11 takes two lengths and odd versions, keeps what comes after a
    response for the next request's answer, and has no bounds of ours.
    """

    def __init__(
        self,
        stream: httpcore.AsyncNetworkStream,
        backend: JudgedBackend,
        limit_s: float,
        deadline: float,
    ) -> None:
        self.ended = False
        self.reply = Reply(backend.bounds)
        self._stream = stream
        self._backend = backend
        self._limit_s = limit_s
        self._deadline = deadline

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._first_bytes(max_bytes, timeout)
        self.ended = not data
        if data:
            try:
                self.reply.feed(data)
            except BadReplyError as error:
                raise Faulted(not_http(str(error), self._backend.address)) from error
        return data

    async def _first_bytes(self, max_bytes: int, limit_s: float | None) -> bytes:
        first_byte_s = self._backend.first_byte_s
        if first_byte_s is None or self.reply.begun:
            return await self._stream.read(max_bytes, limit_s)
        try:
            async with asyncio.timeout(first_byte_s):
                return await self._stream.read(max_bytes, limit_s)
        except TimeoutError as error:
            raise Faulted(first_byte_timed_out(first_byte_s, self._backend.address)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        address = self._backend.address
        plain = self._stream
        try:
            async with asyncio.timeout_at(self._deadline):
                self._stream = await plain.start_tls(ssl_context, server_hostname)
        except TimeoutError as error:
            raise Faulted(connect_timed_out(self._limit_s, address)) from error
        except (httpcore.ConnectError, OSError) as error:
            raise Faulted(handshake_failed(error, address)) from error
        finally:
            if self._stream is plain:
                # httpcore forgets a connection whose handshake was cancelled.
                await plain.aclose()
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
