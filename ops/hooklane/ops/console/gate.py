"""What every request passes first: its host, where it comes from, and who sends it. And what every
response carries: nothing but this host's own pages, styles and pictures may be loaded or framed."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hooklane.ops.console.access import Access, Visitor
from hooklane.ops.console.origins import Origins

COOKIE: Final = "hooklane-console"
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # Not no-referrer: the browser would send `Origin: null` with our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_OPEN: Final = ("/login", "/healthz", "/readyz")
_OPEN_BELOW: Final = "/static/"


class Gate:
    """Lets requests through to `app`, with the visitor in their scope's state."""

    def __init__(self, app: ASGIApp, access: Access, origins: Origins) -> None:
        self._app = app
        self._access = access
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS:
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._judged(scope)
        await (refused or self._app)(scope, receive, send_guarded)

    def _judged(self, scope: Scope) -> Response | None:
        """What stands in the way, if anything."""
        headers = Headers(scope=scope)
        if not self._origins.takes_host(headers.getlist("host")):
            return _plain(
                421,
                "This name is not the console's own: set HOOKLANE_CONSOLE__PUBLIC_URL to the "
                "address by which browsers reach it.",
            )
        method, path = scope["method"], scope["path"]
        if method not in {"GET", "HEAD", "POST"}:
            return _plain(405, "Only GET and POST.")
        if method == "POST" and not self._origins.takes_post(
            headers["host"], _single(headers, "origin"), _single(headers, "sec-fetch-site")
        ):
            return _plain(403, "This form was not sent by a page of the console.")
        visitor = self._visitor(scope, headers)
        scope.setdefault("state", {})["visitor"] = visitor
        if visitor is None and not _is_open(path):
            return self._unknown(method, scope)
        return None

    def _visitor(self, scope: Scope, headers: Headers) -> Visitor | None:
        proxy = self._access.proxy
        proxied: Sequence[str] = () if proxy is None else headers.getlist(proxy.header)
        client = scope.get("client")
        cookie = HTTPConnection(scope).cookies.get(COOKIE)
        return self._access.visitor(client[0] if client else "", proxied, cookie)

    def _unknown(self, method: str, scope: Scope) -> Response:
        if not self._access.takes_token:
            return _plain(403, "Come by way of the authenticating proxy.")
        if method == "POST":
            return _plain(403, "Your session has ended: log in, and do it again.")
        query = scope["query_string"].decode("latin-1")
        here = scope["path"] + (f"?{query}" if query else "")
        there = "/login" if here == "/" else f"/login?next={quote(here, safe='')}"
        return RedirectResponse(there, 303)


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def _single(headers: Headers, name: str) -> str | None:
    """The header's value; what came twice is none of a browser's, and fits nothing."""
    values = headers.getlist(name)
    return None if not values else ", ".join(values)


def _plain(status: int, said: str) -> Response:
    return PlainTextResponse(f"{said}\n", status)
