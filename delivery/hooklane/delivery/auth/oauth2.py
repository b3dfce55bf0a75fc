"""Access tokens by client credentials (RFC 6749, section 4.4): fetched, kept, renewed."""

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Final
from urllib.parse import quote_plus, urlencode

from hooklane.delivery.auth.credentials import Secrets, basic_header
from hooklane.delivery.auth.token_life import TokenLife
from hooklane.delivery.exchange import Engine, Fault, FaultKind, Request, Response
from hooklane.delivery.request import custom_lines
from hooklane.delivery.target import InvalidUrl, read_target
from hooklane.delivery.tasks import exchanged
from hooklane.delivery.way import Way
from hooklane.schemas.subscription_parts import OAuth2Auth

_TIMEOUT_S: Final = 10.0
_CONNECT_TIMEOUT_S: Final = 5.0
_REMEMBERED: Final = 2000
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")
_FOR_GOOD: Final = frozenset({FaultKind.BLOCKED_ADDRESS, FaultKind.INVALID_URL})


@dataclass(slots=True)
class _Client:
    """One client at one server. `fault`: why the last fetch gave nothing."""

    life: TokenLife = field(default_factory=TokenLife)
    fetching: asyncio.Task[None] | None = None
    fault: Fault | None = None


class Tokens:
    """The tokens of all clients. `engine` asks for them, past the same guard as deliveries.

    Whoever needs a token while one is being fetched waits for that one; a token near its end is
    used on while the next one is fetched.
    """

    def __init__(
        self, engine: Callable[[], Engine], secrets: Secrets, monotonic: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._secrets = secrets
        self._monotonic = monotonic
        self._clients: OrderedDict[bytes, _Client] = OrderedDict()

    async def token(self, auth: OAuth2Auth) -> bytes | Fault:
        """A token to send, or why there is none.

        Raises:
            SecretError: the client's secret is not to be had.
        """
        secret = self._secrets.resolve(auth.client_secret.written())
        client = self._client(auth, secret)
        if client.fetching is None and client.life.wants_fetch(self._monotonic()):
            client.fetching = asyncio.create_task(self._fetch(client, auth, secret))
        usable = client.life.usable(self._monotonic())
        if usable is None and client.fetching is not None:
            # Who waits may be cut off; the others go on waiting for the same fetch.
            await asyncio.shield(client.fetching)
            usable = client.life.usable(self._monotonic())
        if usable is not None:
            return usable
        return client.fault or Fault(FaultKind.SETUP, _said(auth, "its tokens end at once"))

    async def renewed(self, auth: OAuth2Auth, rejected: bytes) -> bytes | None:
        """Another token, after a receiver has answered 401 to `rejected`; None: there is none.

        Raises:
            SecretError: the client's secret is not to be had.
        """
        client = self._client(auth, self._secrets.resolve(auth.client_secret.written()))
        if client.fetching is not None:
            await asyncio.shield(client.fetching)
        if not client.life.rejected(rejected, self._monotonic()):
            return None
        token = await self.token(auth)
        return None if isinstance(token, Fault) or token == rejected else token

    async def close(self) -> None:
        """Fetch nothing more."""
        tasks = [one.fetching for one in self._clients.values() if one.fetching is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _client(self, auth: OAuth2Auth, secret: bytes) -> _Client:
        # Another secret is another client, so that a rotated one counts at once.
        what = json.dumps(
            [auth.token_url, auth.client_id, list(auth.scopes), auth.audience, secret.hex()]
        )
        key = blake2b(what.encode(), digest_size=16).digest()
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = _Client()
            if len(self._clients) > _REMEMBERED:
                self._forget_one()
        else:
            self._clients.move_to_end(key)
        return client

    def _forget_one(self) -> None:
        idle = (key for key, one in self._clients.items() if one.fetching is None)
        oldest = next(idle, None)
        if oldest is not None:
            del self._clients[oldest]

    async def _fetch(self, client: _Client, auth: OAuth2Auth, secret: bytes) -> None:
        try:
            result = await exchanged(self._engine(), _asking(auth, secret))
            found = _read(auth, result)
            now = self._monotonic()
            if isinstance(found, Fault):
                client.fault = found
                client.life.failed(now)
            else:
                client.fault = None
                client.life.got(found.value, found.lifetime_s, now)
        finally:
            client.fetching = None


@dataclass(frozen=True, slots=True)
class _Given:
    value: bytes
    lifetime_s: float | None


def _asking(auth: OAuth2Auth, secret: bytes) -> Request:
    form = {"grant_type": "client_credentials"}
    if auth.scopes:
        form["scope"] = " ".join(auth.scopes)
    if auth.audience is not None:
        form["audience"] = auth.audience
    # RFC 6749, section 2.3.1: both are form-encoded before they become a name and password.
    user, password = (quote_plus(one).encode() for one in (auth.client_id, secret))
    lines = (
        f"authorization: {basic_header(user, password)}",
        "content-type: application/x-www-form-urlencoded",
        "accept: application/json",
        *custom_lines({}),
    )
    body = urlencode(form).encode()
    return Request("POST", auth.token_url, lines, body, _TIMEOUT_S, _CONNECT_TIMEOUT_S, Way())


def _read(auth: OAuth2Auth, result: Response | Fault) -> _Given | Fault:
    if isinstance(result, Fault):
        # A token URL that leads to a private address is as much of an attack as the webhook's.
        kind = result.kind if result.kind in _FOR_GOOD else FaultKind.SETUP
        return Fault(kind, _said(auth, result.detail))
    try:
        answer = json.loads(result.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return _refused(auth, f"it answered {result.status} without a JSON object")
    if result.status != 200:
        # Nothing else of its words is shown: it may say the secret back.
        code = answer.get("error")
        told = f", {code}" if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
        return _refused(auth, f"it answered {result.status}{told}")
    return _given(auth, answer)


def _given(auth: OAuth2Auth, answer: dict[str, object]) -> _Given | Fault:
    token, kind, life = (answer.get(name) for name in ("access_token", "token_type", "expires_in"))
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        return _refused(auth, "its answer has no `access_token`")
    if isinstance(kind, str) and kind.lower() != "bearer":
        return _refused(auth, "its token is not of the type Bearer")
    if isinstance(life, str) and life.isascii() and life.isdecimal() and len(life) < 12:
        life = int(life)
    if isinstance(life, bool) or not isinstance(life, int | float) or not isfinite(life):
        return _Given(token.encode(), None)
    return _Given(token.encode(), min(float(life), 1e9))


def _refused(auth: OAuth2Auth, detail: str) -> Fault:
    return Fault(FaultKind.SETUP, _said(auth, detail))


def _said(auth: OAuth2Auth, detail: str) -> str:
    target = read_target(auth.token_url)
    host = "its server" if isinstance(target, InvalidUrl) else target.origin.host
    return f"no access token from {host}: {detail}"
