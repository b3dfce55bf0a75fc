"""A real HTTP proxy on loopback for tests: it tunnels and forwards, and keeps what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.receiver_script import Peer, Received, ScriptedServer, scripted


@dataclass
class ProxyServer:
    """`homes`: where names lead, as the proxy sees it. `wanted`: the value of
    `Proxy-Authorization` that it asks for."""

    wanted: str | None = None
    homes: dict[str, str] = field(default_factory=dict)
    asked: list[Received] = field(default_factory=list)
    server: ScriptedServer | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    @property
    def lines(self) -> list[str]:
        return [one.line for one in self.asked]

    async def __call__(self, peer: Peer) -> None:
        head = await peer.head()
        self.asked.append(head)
        if self.wanted is not None and head.header("proxy-authorization") != self.wanted:
            await peer.send(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
            await peer.gone()
            return
        method, target, _ = head.line.split(" ")
        if method == "CONNECT":
            await self._tunnel(peer, target)
        else:
            await self._forward(peer, head)

    async def _tunnel(self, peer: Peer, target: str) -> None:
        host, _, port = target.rpartition(":")
        try:
            reader, writer = await asyncio.open_connection(self.homes.get(host, host), int(port))
        except OSError:
            await peer.send(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n")
            return
        await peer.send(b"HTTP/1.1 200 Yes\r\nvia: test\r\n\r\n")
        try:
            await asyncio.gather(relay(peer.reader, writer), relay(reader, peer.writer))
        finally:
            writer.close()

    async def _forward(self, peer: Peer, head: Received) -> None:
        first: Received | None = head
        while True:
            asked = first or await peer.head()
            if first is None:
                self.asked.append(asked)
            first = None
            url = urlsplit(asked.line.split(" ")[1])
            host = self.homes.get(url.hostname or "", url.hostname or "")
            body = await peer.reader.readexactly(int(asked.header("content-length") or 0))
            reader, writer = await asyncio.open_connection(host, url.port or 80)
            lines = [f"POST {url.path}?{url.query} HTTP/1.1", "connection: close"]
            lines += [
                f"{name}: {value}" for name, value in asked.headers if not name.startswith("proxy-")
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            answer = Peer(reader, writer)
            told = await answer.head()
            length = int(told.header("content-length") or 0)
            content = await reader.readexactly(length)
            writer.close()
            status = told.line.split(" ", 1)[1]
            await peer.send(f"HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n".encode())
            await peer.send(content)


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def proxy(
    tls: ssl.SSLContext | None = None,
    wanted: str | None = None,
    homes: dict[str, str] | None = None,
) -> AsyncIterator[ProxyServer]:
    """Run one on a free port."""
    found = ProxyServer(wanted, homes or {})
    async with scripted(found, tls) as server:
        found.server = server
        yield found
