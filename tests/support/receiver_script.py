"""A server that plays a script on raw sockets: whatever a receiver may do wrong, on purpose."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in. Header names in lower case, in their order."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for found, value in self.headers if found == name), None)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a connection by RST."""
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Peer:
    """One connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> Received:
        """Read a request's head only."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *headers = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (header.split(": ", 1) for header in headers)
        return Received(line, tuple((name.lower(), value) for name, value in pairs), b"")

    async def request(self) -> Received:
        """Read a whole request."""
        head = await self.head()
        body = await self.reader.readexactly(int(head.header("content-length") or 0))
        return Received(head.line, head.headers, body)

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    async def ok(self, body: bytes = b"ok") -> None:
        await self.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def gone(self) -> None:
        """Wait until the client has ended the connection."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """End the connection by RST."""
        reset(self.writer.transport)


Script = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class ScriptedServer:
    """Where the script is played; `connections` counts how often, `ended` how often to its end."""

    port: int
    connections: int = 0
    ended: int = 0
    errors: list[BaseException] = field(default_factory=list)

    def url(self, path: str = "/hook", scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def scripted(
    script: Script, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """Play `script` on each connection to a free loopback port."""
    playing: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        playing.add(task)
        state.connections += 1
        try:
            await script(Peer(reader, writer))
            state.ended += 1
        except (asyncio.IncompleteReadError, OSError) as error:
            state.errors.append(error)
        except asyncio.CancelledError:
            pass
        finally:
            playing.discard(task)
            writer.close()

    server = await asyncio.start_server(play, "127.0.0.1", 0, ssl=tls)
    state = ScriptedServer(server.sockets[0].getsockname()[1])
    try:
        yield state
    finally:
        server.close()
        for task in tuple(playing):
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
        await server.wait_closed()
