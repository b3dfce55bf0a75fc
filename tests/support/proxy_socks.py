"""A SOCKS5 proxy on loopback for tests (RFC 1928, RFC 1929): it keeps what it was asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from tests.support.proxy import relay
from tests.support.receiver_script import Peer, ScriptedServer, scripted

_LENGTHS = {1: 4, 4: 16}
_NAME = 3
_REFUSED = 5


@dataclass
class SocksServer:
    """`asked`: hosts and ports, a name as `name:...` instead of an address."""

    user: bytes | None = None
    asked: list[str] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)
    server: ScriptedServer | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    async def __call__(self, peer: Peer) -> None:
        _, count = await peer.reader.readexactly(2)
        methods = await peer.reader.readexactly(count)
        wanted = 0 if self.user is None else 2
        if wanted not in methods:
            await peer.send(b"\x05\xff")
            return
        await peer.send(bytes((5, wanted)))
        if self.user is not None and not await self._knows(peer, self.user):
            return
        await self._tunnel(peer)

    async def _knows(self, peer: Peer, user: bytes) -> bool:
        await peer.reader.readexactly(1)
        parts = [await peer.reader.readexactly((await peer.reader.readexactly(1))[0]) for _ in "np"]
        self.users.append(b":".join(parts))
        known = self.users[-1] == user
        await peer.send(b"\x01\x00" if known else b"\x01\x01")
        return known

    async def _tunnel(self, peer: Peer) -> None:
        kind = (await peer.reader.readexactly(4))[3]
        if kind == _NAME:
            host = (
                "name:"
                + (await peer.reader.readexactly((await peer.reader.readexactly(1))[0])).decode()
            )
        else:
            host = str(ip_address(await peer.reader.readexactly(_LENGTHS[kind])))
        port = int.from_bytes(await peer.reader.readexactly(2))
        self.asked.append(f"{host}:{port}")
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except OSError:
            await peer.send(bytes((5, _REFUSED, 0, 1)) + bytes(6))
            return
        await peer.send(b"\x05\x00\x00\x01" + bytes(6))
        try:
            await asyncio.gather(relay(peer.reader, writer), relay(reader, peer.writer))
        finally:
            writer.close()


@asynccontextmanager
async def socks_proxy(user: bytes | None = None) -> AsyncIterator[SocksServer]:
    """Run one on a free port. `user`: `name:password` that it asks for."""
    found = SocksServer(user)
    async with scripted(found) as server:
        found.server = server
        yield found
