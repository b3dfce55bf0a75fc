"""The network between the services and the brokers, as a process of its own.

`python -m tests.support.tcp_proxy 1:20001:20002 2:...` listens on the first port of each link and
leads to the second, on loopback. A line on the standard input, `LINK UP|DOWN HELD LATENCY RATE`,
changes one direction of a link: held (0 or 1), seconds of latency, bytes a second (0: no cap); it
is answered by a line. What is held is not lost but comes when the link is whole again, as TCP
would have repeated it. Ends with its standard input.
"""

import asyncio
import sys
from contextlib import suppress

_CHUNK = 16 * 1024
_CHUNKS = 64


class Way:
    """One direction of a link, for all of its connections together."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self.latency_s = 0.0
        self.bytes_per_s = 0.0

    def set(self, *, held: bool, latency_s: float, bytes_per_s: float) -> None:
        self.latency_s, self.bytes_per_s = latency_s, bytes_per_s
        if held:
            self._open.clear()
        else:
            self._open.set()

    async def passed(self, size: int, came: float) -> None:
        """Wait until `size` bytes that came at that second of the loop may go on."""
        loop = asyncio.get_running_loop()
        await self._open.wait()
        at = came + self.latency_s
        if self.bytes_per_s:
            at = self._free_at = max(at, self._free_at) + size / self.bytes_per_s
        if at > loop.time():
            await asyncio.sleep(at - loop.time())
        # It may have been held meanwhile.
        await self._open.wait()


class Link:
    """From a port to a broker's."""

    def __init__(self, listen: int, target: int) -> None:
        self._listen = listen
        self._target = target
        self.ways = {"UP": Way(), "DOWN": Way()}

    async def start(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", self._listen)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        tasks = [
            asyncio.create_task(_carry(reader, other_writer, self.ways["UP"])),
            asyncio.create_task(_carry(other_reader, writer, self.ways["DOWN"])),
        ]
        # One end that is gone ends the connection.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        writer.transport.abort()
        other_writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    """Until one end is gone; reading goes on while what came before is under way."""
    queue: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue(_CHUNKS)
    reading = asyncio.create_task(_read(reader, queue))
    try:
        while True:
            data, came = await queue.get()
            await way.passed(len(data), came)
            if not data:
                return
            writer.write(data)
            await writer.drain()
    except OSError:
        return
    finally:
        reading.cancel()


async def _read(reader: asyncio.StreamReader, queue: "asyncio.Queue[tuple[bytes, float]]") -> None:
    """An end is told in its place: also of a closed connection nobody hears through a held link."""
    loop, data = asyncio.get_running_loop(), b"-"
    while data:
        data = b""
        with suppress(OSError):
            data = await reader.read(_CHUNK)
        await queue.put((data, loop.time()))


async def _obey(links: dict[str, Link]) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while line := (await commands.readline()).decode():
        link, way, held, latency, rate = line.split()
        links[link].ways[way].set(
            held=held == "1", latency_s=float(latency), bytes_per_s=float(rate)
        )
        print("done", flush=True)


async def _serve(told: list[str]) -> None:
    links = {}
    for one in told:
        name, listen, target = one.split(":")
        links[name] = Link(int(listen), int(target))
    servers = [await link.start() for link in links.values()]
    print("listening", flush=True)
    await _obey(links)
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))
