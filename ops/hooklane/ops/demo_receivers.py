"""The demonstration's receivers: real HTTP on loopback, an origin each, every request verified."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from http import HTTPStatus
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hooklane.delivery.signing.verify import Verified, Verifier
from hooklane.ops.demo_shop import Subscriber
from hooklane.ops.demo_tally import Arrival, Tally
from hooklane.ops.listen_request import arrived
from hooklane.ops.listen_server import bound
from hooklane.runtime.http_server import serving

Told = Callable[[str, str, Arrival], None]
"""Called after each request with the receiver's name, the event's type, and what was seen."""


class Receiver:
    """Verifies a request, answers by what ails the receiver at that time, and counts it."""

    def __init__(self, subscriber: Subscriber, secret: str, told: Told) -> None:
        self.subscriber = subscriber
        self.secret = secret
        self.tally = Tally()
        self.begun_s: float | None = None
        """When the first event was published; its troubles are told from then on."""
        self._verifier = Verifier([secret.encode()])
        self._told = told

    @property
    def name(self) -> str:
        return self.subscriber.name

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """The answer to one request."""
        now = time.monotonic()
        request = arrived(path, headers, body)
        verified = isinstance(self._verifier.verify(headers, body, time.time()), Verified)
        status = self._answer(request.key, now) if verified else HTTPStatus.UNAUTHORIZED
        seen = Arrival(
            event_id=unquote(headers.get("ce-id", "")),
            key=request.key or "",
            sequence=-1 if request.sequence is None else request.sequence,
            attempt=request.attempt or 0,
            verified=verified,
            accepted=status is HTTPStatus.NO_CONTENT,
            at_s=now,
        )
        self.tally.arrive(seen)
        self._told(self.name, request.type or "", seen)
        return status

    @property
    def trouble_s(self) -> tuple[float, float] | None:
        """The monotonic seconds in which it fails; None if it never does."""
        trouble = self.subscriber.trouble
        if trouble is None or self.begun_s is None:
            return None
        return self.begun_s + trouble.begin_s, self.begun_s + trouble.end_s

    def _answer(self, key: str | None, now: float) -> HTTPStatus:
        trouble = self.subscriber.trouble
        if trouble is None or self.begun_s is None or not trouble.hits(key, now - self.begun_s):
            return HTTPStatus.NO_CONTENT
        return HTTPStatus.SERVICE_UNAVAILABLE


@asynccontextmanager
async def receiving(receivers: Sequence[Receiver]) -> AsyncIterator[Mapping[str, str]]:
    """Serve while this is open; gives each receiver's URL by its name.

    A port each, since a circuit is an origin's: one receiver's failures are not another one's.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(bound("127.0.0.1", 0)) for _ in receivers]
        ports = [one.getsockname()[1] for one in sockets]
        async with serving(_Site(dict(zip(ports, receivers, strict=True))), sockets):
            yield {
                one.name: f"http://127.0.0.1:{port}/{one.name}"
                for one, port in zip(receivers, ports, strict=True)
            }


class _Site:
    """An ASGI application: the port that a request came to says whose it is."""

    def __init__(self, receivers: Mapping[int, Receiver]) -> None:
        self._receivers = receivers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        receiver = self._receivers[scope["server"][1]]
        status = receiver.take(request.url.path, dict(request.headers), body)
        await Response(None, status)(scope, receive, send)
