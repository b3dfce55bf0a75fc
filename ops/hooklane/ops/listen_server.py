"""The HTTP side of `hooklane listen`: one address, every path, POST."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from hooklane.ops.listen_desk import Answer, Desk
from hooklane.runtime.errors import UsageError
from hooklane.runtime.http_server import serving
from hooklane.runtime.shutdown import shutdown_signals

Beyond = Callable[[str, Sequence[tuple[bytes, bytes]], bytes], Awaitable[Answer]]
"""Answers a request that the desk would accept: path with query, headers as they came, body."""

MAX_BODY = 64 * 1024 * 1024
_LAST_WORDS_S = 5


def bound(host: str, port: int, options: str = "--port or --host") -> socket.socket:
    """A listening socket; port 0 takes any. `options` are what a person may give instead.

    Raises:
        UsageError: the address cannot be had.
    """
    try:
        return socket.create_server((host, port), backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = _reason(error)
        raise UsageError(
            f"Cannot listen on {host}:{port} ({reason}): give another {options}."
        ) from error


def free_port() -> int:
    """A port of loopback on which nobody listens now."""
    with bound("127.0.0.1", 0) as listening:
        port: int = listening.getsockname()[1]
    return port


def _reason(error: OSError | UnicodeError) -> str:
    """In few words: Python puts the address into the text of its own errors once more."""
    if isinstance(error, UnicodeError):
        return "no host has such a name"
    if isinstance(error, socket.gaierror) or error.errno is None:
        return str(error.strerror)
    return os.strerror(error.errno)


async def serve(desk: Desk, listening: socket.socket, beyond: Beyond | None = None) -> None:
    """Take requests until SIGINT or SIGTERM; what has begun by then is answered."""
    with shutdown_signals() as shutdown:
        async with serving(ListenApp(desk, beyond), [listening], _LAST_WORDS_S) as task:
            asked = asyncio.create_task(shutdown.wait())
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()


class ListenApp:
    """An ASGI application that hands each request to the desk."""

    def __init__(self, desk: Desk, beyond: Beyond | None = None) -> None:
        self._desk = desk
        self._beyond = beyond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        if request.method != "POST":
            return PlainTextResponse("webhooks are sent by POST\n", 405, {"allow": "POST"})
        body = await _body(request)
        if body is None:
            return PlainTextResponse(f"the body is longer than {MAX_BODY} bytes\n", 413)
        answer = await self._answer(request, body)
        if answer.reason:
            return PlainTextResponse(f"{answer.reason}\n", answer.status)
        return Response(answer.body or None, answer.status, dict(answer.headers))

    async def _answer(self, request: Request, body: bytes) -> Answer:
        path, headers = request.url.path, dict(request.headers)
        if self._beyond is None:
            return self._desk.take(path, headers, body)
        query = request.scope["query_string"]
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        ask = partial(self._beyond, target.decode("latin-1"), request.headers.raw, body)
        return await self._desk.take_by(path, headers, body, ask)


async def _body(request: Request) -> bytes | None:
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > MAX_BODY:
            return None
    return bytes(found)
