"""The engine that both services deliver with: plain requests go straight through, others by their
way, with credentials, certificates and the HTTP client that their documents ask for."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hooklane.delivery.auth.credentials import (
    Credentials,
    Secrets,
    bearer,
    header_credentials,
)
from hooklane.delivery.auth.identities import Identities, Trusting
from hooklane.delivery.auth.oauth2 import Tokens
from hooklane.delivery.engine.faults import timed_out
from hooklane.delivery.exchange import Done, Engine, Fault, FaultKind, Request, Response, Running
from hooklane.delivery.request import SetupError
from hooklane.delivery.tasks import Tasks, exchanged
from hooklane.delivery.way import Way
from hooklane.runtime.errors import SecretError
from hooklane.schemas.subscription_parts import OAuth2Auth
from hooklane.schemas.subscription_values import EngineName

_HIDDEN = b"[redacted]"


class Engines:
    """Each engine, opened when it is first asked for."""

    def __init__(self, make: Mapping[EngineName, Callable[[], Engine]], usual: EngineName) -> None:
        self._make = make
        self._opened: dict[EngineName, Engine] = {}
        self._usual = usual
        self.usual = self.named(None)

    def named(self, name: EngineName | None) -> Engine:
        """The engine of that name; the usual one for None."""
        wanted = name or self._usual
        engine = self._opened.get(wanted)
        if engine is None:
            engine = self._opened[wanted] = self._make[wanted]()
        return engine

    async def close(self) -> None:
        for engine in self._opened.values():
            await engine.close()


class Ways:
    """An `Engine` that knows what documents ask for beyond a plain request."""

    def __init__(
        self,
        engines: Engines,
        secrets: Secrets,
        trust: Trusting,
        largest: int,
        closing: Sequence[Callable[[], None]] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`largest`: bytes of a body. `closing`: to be called after the engines are closed."""
        self._largest = largest
        self._engines = engines
        self._closing = closing
        self._plain = engines.usual
        self._secrets = secrets
        self._identities = Identities(secrets, trust)
        self._tasks = Tasks()
        # Tokens are few, and what their servers expect is what httpx does.
        self._tokens = Tokens(lambda: engines.named(EngineName.HTTPX), secrets, monotonic)

    def start(self, request: Request, done: Done) -> Running:
        if len(request.body) > self._largest:
            return self._too_large(request, done)
        way = request.way
        if way is None:
            return self._plain.start(request, done)
        try:
            return self._start(request, way, done)
        except (SecretError, SetupError) as error:
            return fail_soon(str(error), done)

    async def close(self) -> None:
        await self._tasks.close()
        await self._tokens.close()
        await self._engines.close()
        for close in self._closing:
            close()

    def _too_large(self, request: Request, done: Done) -> Running:
        detail = (
            f"the body has {len(request.body)} bytes, more than HOOKLANE_DELIVERY__MAX_REQUEST"
            f" ({self._largest})"
        )
        fault = Fault(FaultKind.TOO_LARGE, detail)
        return asyncio.get_running_loop().call_soon(done, fault)

    def _start(self, request: Request, way: Way, done: Done) -> Running:
        credentials = None if way.auth is None else header_credentials(way.auth, self._secrets)
        if credentials is not None:
            request, done = carrying(request, credentials), hiding(done, credentials)
        identity = self._identities.of(way)
        if identity is not None:
            request = replace(request, way=replace(way, identity=identity))
        engine = self._engines.named(way.engine)
        if way.auth is not None and way.auth.oauth2 is not None:
            return self._tasks.start(self._with_token(request, way.auth.oauth2, engine), done)
        return engine.start(request, done)

    async def _with_token(
        self, request: Request, auth: OAuth2Auth, engine: Engine
    ) -> Response | Fault:
        """The exchange with an access token, and once more with another one after a 401."""
        deadline = asyncio.get_running_loop().time() + request.timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                token = await self._tokens.token(auth)
            if isinstance(token, Fault):
                return token
            result = await _sent_with(token, request, engine, deadline)
            if not isinstance(result, Response) or result.status != 401:
                return result
            async with asyncio.timeout_at(deadline):
                another = await self._tokens.renewed(auth, token)
            if another is None:
                return result
            return await _sent_with(another, request, engine, deadline)
        except TimeoutError:
            return Fault(FaultKind.SETUP, f"no access token within {request.timeout_s:g} s")
        except (SecretError, SetupError) as error:
            return Fault(FaultKind.SETUP, str(error))


async def _sent_with(
    token: bytes, request: Request, engine: Engine, deadline: float
) -> Response | Fault:
    """`deadline`: loop time at which the total time is up; the engine says what it was spent on."""
    credentials = bearer(token, "auth.oauth2")
    left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
    result = await exchanged(engine, replace(carrying(request, credentials), timeout_s=left_s))
    if isinstance(result, Fault) and result.kind is FaultKind.TIMEOUT:
        return timed_out(request.timeout_s, result.address)
    return hidden(result, credentials)


def fail_soon(detail: str, done: Done) -> Running:
    """The request could not be made; told in the next turn of the loop."""
    return asyncio.get_running_loop().call_soon(done, Fault(FaultKind.SETUP, detail))


def carrying(request: Request, credentials: Credentials) -> Request:
    """The request with one header more."""
    return replace(request, lines=(*request.lines, ": ".join(credentials.header)))


def hiding(done: Done, credentials: Credentials) -> Done:
    """`done`, told of answers without the credentials that a receiver may send back in them.

    The beginning of an answer stands in the attempt's record, which is in a topic.
    """

    return lambda result: done(hidden(result, credentials))


def hidden(result: Response | Fault, credentials: Credentials) -> Response | Fault:
    """The result without the credentials."""
    if not isinstance(result, Response):
        return result
    body = result.body
    for value in credentials.hidden:
        body = body.replace(value, _HIDDEN)
    return result if body == result.body else replace(result, body=body)
