"""Passes a request on to a server of the developer's own, byte by byte, and takes its answer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx

from hooklane.ops.listen_desk import Answer
from hooklane.runtime.errors import UsageError

Headers = Sequence[tuple[bytes, bytes]]

_TIMEOUT_S: Final = 60.0
_LARGEST_ANSWER: Final = 64 * 1024
# Of this connection (RFC 9110 7.6.1), or made anew for the other one.
_NOT_PASSED_ON: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_PASSED_BACK: Final = ("content-type", "content-encoding", "location", "retry-after")


class Forward:
    """Sends to `url`. One without a path takes the path and query of each request."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        parts = urlsplit(url)
        self._keeps_path = parts.path in {"", "/"} and not parts.query

    async def send(self, target: str, headers: Headers, body: bytes) -> Answer:
        """`target`: path and query as they came. A server that cannot be had is a 502, one that
        takes longer than a minute a 504."""
        url = self._url.rstrip("/") + target if self._keeps_path else self._url
        passed = [(name, value) for name, value in headers if name.lower() not in _NOT_PASSED_ON]
        # Not by `client.build_request`, which adds headers of its own.
        request = httpx.Request("POST", url, headers=passed, content=body)
        try:
            response = await self._client.send(request, stream=True)
            try:
                return await _answer(response)
            finally:
                await response.aclose()
        except httpx.TimeoutException:
            return _unanswered(504, f"timeout: no answer from {url} in {_TIMEOUT_S:.0f} s")
        except httpx.HTTPError as error:
            return _unanswered(502, f"not-reached: {url}: {str(error) or type(error).__name__}")


@asynccontextmanager
async def forwarding_to(url: str) -> AsyncIterator[Forward]:
    """Open while requests are passed on. No proxy and no redirect: it is a server at hand.

    Raises:
        UsageError: the URL cannot be used.
    """
    checked = forward_url(url)
    async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
        yield Forward(checked, client)


def forward_url(text: str) -> str:
    """A URL as `--forward-to` takes it; without a scheme it is `http://`.

    Raises:
        UsageError: it is none.
    """
    url = text if "://" in text else f"http://{text}"
    try:
        parsed, host = httpx.URL(url), urlsplit(url).hostname
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageError(f"--forward-to {text} is no URL: {error}.") from error
    if parsed.scheme not in {"http", "https"} or not host or parsed.fragment:
        raise UsageError(
            f"--forward-to {text} cannot be used: give one such as http://localhost:3000/webhooks."
        )
    return url


async def _answer(response: httpx.Response) -> Answer:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > _LARGEST_ANSWER:
            break
    back = tuple(
        (name, response.headers[name]) for name in _PASSED_BACK if name in response.headers
    )
    return Answer(response.status_code, "", back, bytes(body[:_LARGEST_ANSWER]))


def _unanswered(status: int, fault: str) -> Answer:
    return Answer(HTTPStatus(status), fault, fault=fault)
