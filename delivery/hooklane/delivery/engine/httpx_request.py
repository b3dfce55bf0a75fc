"""Requests and responses as httpx has them, for both engines that go through it."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

from hooklane.delivery.engine.wire import encoded_headers
from hooklane.delivery.exchange import Request, Response
from hooklane.delivery.target import Target


def httpx_request(
    request: Request,
    target: Target,
    url: httpx.URL,
    extensions: Mapping[str, Any],
    more: tuple[tuple[str, str], ...] = (),
) -> httpx.Request:
    """`url` is what a transport goes by, `Host` what the document asked for. `more`: headers.

    Raises:
        UnsendableError: a header would break the request's framing.
    """
    return httpx.Request(
        request.method,
        url,
        headers=[
            (b"host", target.authority.encode()),
            *((name.encode(), value.encode("latin-1")) for name, value in more),
            *encoded_headers(request),
        ],
        content=request.body,
        extensions={**extensions},
    )


def response(answer: httpx.Response, body: bytes, address: str) -> Response:
    headers = tuple((name.lower(), value) for name, value in answer.headers.multi_items())
    return Response(answer.status_code, headers, body, address)


async def read_up_to(most: int, stream: httpx.AsyncByteStream) -> tuple[bytes, bool]:
    """The body, `most` bytes of it, and whether that is all.

    A stream that is closed before its end takes its connection with it.
    """
    body = bytearray()
    parts = aiter(stream)
    try:
        async for part in parts:
            body += part
            if len(body) > most:
                break
    finally:
        if isinstance(parts, AsyncGenerator):
            await parts.aclose()
        await stream.aclose()
    return bytes(body[:most]), len(body) <= most
