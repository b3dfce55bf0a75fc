"""How the native engine makes a connection: look up, judge, dial, TLS, within one timeout."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Generic, TypeVar

from hooklane.delivery.engine.addresses import addresses_by
from hooklane.delivery.engine.faults import (
    connect_timed_out,
    dial_failed,
    handshake_failed,
    shown,
)
from hooklane.delivery.engine.tls import Trust
from hooklane.delivery.exchange import Fault
from hooklane.delivery.resolve import Resolver
from hooklane.delivery.target import Address, Target
from hooklane.delivery.way import Way

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class _Making(Generic[P]):
    """What a connection is made into."""

    protocol: Callable[[str], P]
    context: ssl.SSLContext


class Dialler:
    """Makes connections to judged addresses; several are tried in turn."""

    def __init__(self, resolver: Resolver, tls: Trust) -> None:
        self._resolver = resolver
        self._tls = tls

    async def connect(
        self, target: Target, limit_s: float, make: Callable[[str], P], way: Way | None = None
    ) -> P | Fault:
        """A protocol of `make` (which gets the dialled address and port) with its connection."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        found = await addresses_by(deadline, self._resolver, target, limit_s)
        if isinstance(found, Fault):
            return found
        context = self._tls() if way is None or way.identity is None else way.identity.context
        return await self._first(found, target, limit_s, deadline, _Making(make, context))

    async def _first(
        self,
        addresses: tuple[Address, ...],
        target: Target,
        limit_s: float,
        deadline: float,
        making: "_Making[P]",
    ) -> P | Fault:
        fault: Fault | None = None
        for address in addresses:
            place = shown(address, target.origin.port)
            try:
                async with asyncio.timeout_at(deadline):
                    raw = await tcp(address, target.origin.port)
            except TimeoutError:
                return connect_timed_out(limit_s, place)
            except OSError as error:
                fault = dial_failed(error, place)
                continue
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._protocol(raw, target, place, making)
            except TimeoutError:
                return connect_timed_out(limit_s, place)
            except OSError as error:
                return handshake_failed(error, place)
        assert fault is not None  # noqa: S101 - the guard gives one address at least
        return fault

    async def _protocol(
        self, raw: socket.socket, target: Target, place: str, making: "_Making[P]"
    ) -> P:
        loop, make = asyncio.get_running_loop(), making.protocol
        try:
            if target.origin.scheme == "https":
                _, protocol = await loop.create_connection(
                    lambda: make(place),
                    sock=raw,
                    ssl=making.context,
                    server_hostname=target.origin.host,
                )
            else:
                _, protocol = await loop.create_connection(lambda: make(place), sock=raw)
        except BaseException:
            raw.close()
            raise
        return protocol


async def tcp(address: Address, port: int) -> socket.socket:
    """A connection to that address.

    Raises:
        OSError: there is none.
    """
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(raw, (str(address), port))
    except BaseException:
        with contextlib.suppress(OSError):
            raw.close()
        raise
    return raw
