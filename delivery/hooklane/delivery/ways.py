"""The engine that both services deliver with: plain requests go straight through, others by their
way, with credentials, certificates and the HTTP client that their documents ask for."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hooklane.delivery.auth.credentials import Credentials, Secrets, header_credentials
from hooklane.delivery.exchange import Done, Engine, Fault, FaultKind, Request, Response, Running
from hooklane.delivery.request import SetupError
from hooklane.delivery.way import Way
from hooklane.runtime.errors import SecretError
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
        self, engines: Engines, secrets: Secrets, closing: Sequence[Callable[[], None]]
    ) -> None:
        """`closing`: to be called at the end, after the engines have been closed."""
        self._engines = engines
        self._closing = closing
        self._plain = engines.usual
        self._secrets = secrets

    def start(self, request: Request, done: Done) -> Running:
        way = request.way
        if way is None:
            return self._plain.start(request, done)
        try:
            return self._start(request, way, done)
        except (SecretError, SetupError) as error:
            return fail_soon(str(error), done)

    async def close(self) -> None:
        await self._engines.close()
        for close in self._closing:
            close()

    def _start(self, request: Request, way: Way, done: Done) -> Running:
        credentials = None if way.auth is None else header_credentials(way.auth, self._secrets)
        if credentials is not None:
            request, done = carrying(request, credentials), hiding(done, credentials)
        return self._engines.named(way.engine).start(request, done)


def fail_soon(detail: str, done: Done) -> Running:
    """The request could not be made; told in the next turn of the loop."""
    return asyncio.get_running_loop().call_soon(done, Fault(FaultKind.SETUP, detail))


def carrying(request: Request, credentials: Credentials) -> Request:
    """The request with one header more."""
    return replace(request, headers=(*request.headers, credentials.header))


def hiding(done: Done, credentials: Credentials) -> Done:
    """`done`, told of answers without the credentials that a receiver may send back in them.

    The beginning of an answer stands in the attempt's record, which is in a topic.
    """

    def told(result: Response | Fault) -> None:
        if isinstance(result, Response):
            body = result.body
            for value in credentials.hidden:
                body = body.replace(value, _HIDDEN)
            if body is not result.body:
                result = replace(result, body=body)
        done(result)

    return told
