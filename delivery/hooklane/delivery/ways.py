"""The engine that both services deliver with: plain requests go straight through, others by their
way, with credentials, certificates and the HTTP client that their documents ask for."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

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
from hooklane.delivery.handshakes import Handshakes
from hooklane.delivery.plugged import made_credentials
from hooklane.delivery.request import SetupError
from hooklane.delivery.tasks import Tasks, exchanged
from hooklane.delivery.way import Handshake, Way
from hooklane.runtime.errors import SecretError
from hooklane.schemas.plugged import PluginError
from hooklane.schemas.subscription_parts import OAuth2Auth, PluggedAuth
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
        handshakes: Handshakes,
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
        self._handshakes = handshakes
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
        await self._handshakes.close()
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
            done = hiding(done, credentials)
        identity = self._identities.of(way)
        if identity is not None:
            request = replace(request, way=replace(way, identity=identity))
        engine = self._engines.named(way.engine)
        oauth2 = None if way.auth is None else way.auth.oauth2
        plugged = None if way.auth is None else way.auth.plugged
        sender = _Sender(engine, credentials, oauth2, self._tokens, plugged, self._secrets)
        if sender.is_simple and way.handshake is None:
            return engine.start(sender.carrying(request), done)
        return self._tasks.start(self._at_length(request, way.handshake, sender), done)

    async def _at_length(
        self, request: Request, handshake: Handshake | None, sender: "_Sender"
    ) -> Response | Fault:
        """The exchange after everything that has to come before it, within its total time."""
        deadline = asyncio.get_running_loop().time() + request.timeout_s
        try:
            if handshake is not None:
                async with asyncio.timeout_at(deadline):
                    fault = await self._handshakes.fault(
                        request, handshake, lambda asked: sender.send(asked, deadline)
                    )
                if fault is not None:
                    return fault
            return await sender.send(request, deadline)
        except TimeoutError:
            detail = f"no answer to the handshake within {request.timeout_s:g} s"
            return Fault(FaultKind.HANDSHAKE, detail)
        except (SecretError, SetupError) as error:
            return Fault(FaultKind.SETUP, str(error))
        except PluginError as error:
            return Fault(FaultKind.PLUGIN, str(error))


@dataclass(frozen=True, slots=True)
class _Sender:
    """Sends requests of one attempt with its credentials."""

    engine: Engine
    credentials: Credentials | None
    oauth2: OAuth2Auth | None
    tokens: Tokens
    plugged: PluggedAuth | None
    secrets: Secrets

    @property
    def is_simple(self) -> bool:
        """Whether one exchange is all that there is to it."""
        return self.oauth2 is None and self.plugged is None

    def carrying(self, request: Request) -> Request:
        return request if self.credentials is None else carrying(request, self.credentials)

    async def send(self, request: Request, deadline: float) -> Response | Fault:
        """`deadline`: loop time at which the total time is up."""
        if self.plugged is not None:
            return await self._with_plugin(request, self.plugged, deadline)
        if self.oauth2 is None:
            return await _in_time(self.engine, self.carrying(request), deadline)
        return await self._with_token(request, self.oauth2, deadline)

    async def _with_plugin(
        self, request: Request, auth: PluggedAuth, deadline: float
    ) -> Response | Fault:
        try:
            async with asyncio.timeout_at(deadline):
                credentials = await made_credentials(auth, request, self.secrets)
        except TimeoutError:
            detail = f"the auth plugin {auth.name} took the whole {request.timeout_s:g} s"
            return Fault(FaultKind.PLUGIN, detail)
        result = await _in_time(self.engine, carrying(request, credentials), deadline)
        return hidden(result, credentials)

    async def _with_token(
        self, request: Request, auth: OAuth2Auth, deadline: float
    ) -> Response | Fault:
        """With an access token, and once more with another one after a 401."""
        try:
            async with asyncio.timeout_at(deadline):
                token = await self.tokens.token(auth)
            if isinstance(token, Fault):
                return token
            result = await self._sent_with(token, request, deadline)
            if not isinstance(result, Response) or result.status != 401:
                return result
            async with asyncio.timeout_at(deadline):
                another = await self.tokens.renewed(auth, token)
            return result if another is None else await self._sent_with(another, request, deadline)
        except TimeoutError:
            return Fault(FaultKind.SETUP, f"no access token within {request.timeout_s:g} s")

    async def _sent_with(self, token: bytes, request: Request, deadline: float) -> Response | Fault:
        credentials = bearer(token, "auth.oauth2")
        result = await _in_time(self.engine, carrying(request, credentials), deadline)
        return hidden(result, credentials)


async def _in_time(engine: Engine, request: Request, deadline: float) -> Response | Fault:
    """The exchange in what is left of its total time; the engine says what it was spent on."""
    left_s = max(deadline - asyncio.get_running_loop().time(), 0.0)
    result = await exchanged(engine, replace(request, timeout_s=left_s))
    if isinstance(result, Fault) and result.kind is FaultKind.TIMEOUT:
        return timed_out(request.timeout_s, result.address)
    return result


def fail_soon(detail: str, done: Done) -> Running:
    """The request could not be made; told in the next turn of the loop."""
    return asyncio.get_running_loop().call_soon(done, Fault(FaultKind.SETUP, detail))


def carrying(request: Request, credentials: Credentials) -> Request:
    """The request with their headers."""
    lines = map(": ".join, credentials.headers)
    return replace(request, lines=(*request.lines, *lines))


def hiding(done: Done, credentials: Credentials) -> Done:
    """`done`, told of answers without the credentials that a receiver may send back in them.

    The beginning of an answer stands in the attempt's record, which is in a topic.
    """

    return lambda result: done(hidden(result, credentials))


def hidden(result: Response | Fault, credentials: Credentials) -> Response | Fault:
    """The result without the credentials."""
    if not isinstance(result, Response):
        return result
    body, headers = result.body, result.headers
    for value in credentials.hidden:
        body = body.replace(value, _HIDDEN)
        text, said = value.decode("latin-1"), _HIDDEN.decode()
        headers = tuple((name, found.replace(text, said)) for name, found in headers)
    same = (body, headers) == (result.body, result.headers)
    return result if same else replace(result, body=body, headers=headers)
