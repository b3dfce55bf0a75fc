"""A fixed port for the embedded broker, which takes any: clients begin there.

What a client asks first is where the brokers are; from then on it talks to the broker itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from hooklane.runtime.errors import UsageError

_PIECE: Final = 64 * 1024


@asynccontextmanager
async def relayed(port: int, broker: str) -> AsyncIterator[str]:
    """Pass connections to `port` on to `broker` while this is open; gives its `host:port`.

    Raises:
        UsageError: the port cannot be had.
    """
    host, _, broker_port = broker.rpartition(":")
    lines: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs it in one
        lines.add(task)
        try:
            await _passed_on(reader, writer, host, int(broker_port))
        finally:
            lines.discard(task)

    try:
        server = await asyncio.start_server(connected, "127.0.0.1", port)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on 127.0.0.1:{port} ({error.strerror}): give another --port; if "
            f"a Kafka is there, use it by --kafka localhost:{port}."
        ) from error
    try:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)


async def _passed_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    try:
        with suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection(host, port)
            try:
                await asyncio.gather(_piped(reader, to_writer), _piped(to_reader, writer))
            finally:
                to_writer.close()
    finally:
        writer.close()


async def _piped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
