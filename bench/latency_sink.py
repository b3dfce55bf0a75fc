"""A receiver in a process of its own that notes when each webhook arrived.

It prints its port; then, for each line on its standard input, one line: `count` gives the number
of arrivals, `arrivals` all of them as JSON. It ends with its input.
"""

import asyncio
import json
import sys
import time
from typing import cast

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_SIGNATURES = {b"webhook-signature", b"x-hub-signature-256"}

Row = tuple[str, int, int, int, bool]


class _Connection(asyncio.Protocol):
    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._body = b""
        self._signed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no asyncio.Transport by type.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._signed = self._signed or (name.lower() in _SIGNATURES and len(value) > 40)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        arrived_ns = time.monotonic_ns()
        event = json.loads(self._body)
        path = self._path.decode().removeprefix("/")
        self._rows.append((path, event["n"], event["sent_ns"], arrived_ns, self._signed))
        self._path, self._body, self._signed = b"", b"", False
        self._transport.write(_OK)


async def main() -> None:
    rows: list[Row] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(rows), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(len(rows) if line.strip() == "count" else json.dumps(rows), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
