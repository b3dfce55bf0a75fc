"""The token is entered here, once: a cookie remembers it. And the way out."""

import math
import time

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooklane.ops.console.access import Visitor, plain_name
from hooklane.ops.console.forms import read_form
from hooklane.ops.console.gate import COOKIE
from hooklane.ops.console.office import Fields, Office
from hooklane.ops.console.origins import local_path
from hooklane.ops.console.sessions import LIFE_S

log = structlog.get_logger()

_NOBODY = Visitor("", "")


def routes(office: Office) -> list[Route]:
    def shown(request: Request, status: int = 200, said: str = "", there: str = "/") -> Response:
        return office.renderer.page(request, "login.html", status, said=said, there=there)

    async def form(request: Request) -> Response:
        there = local_path(request.query_params.get("next", "/"))
        if request.state.visitor is not None:
            return RedirectResponse(there, 303)
        return shown(request, there=there)

    async def enter(request: Request) -> Response:
        # Before anybody has come in there is no session that a form could be bound to.
        request.state.visitor = None
        fields = await read_form(request, _NOBODY, office.tokens)
        there = local_path(fields.get("next", "/"))
        peer, now = request.client.host if request.client else "", time.monotonic()
        wait_s = office.pace.wait_s(peer, now)
        if wait_s > 0:
            response = shown(
                request, 429, f"Too many wrong tokens: try again in {wait_s:.0f} s.", there
            )
            response.headers["retry-after"] = str(math.ceil(wait_s))
            return response
        if not office.access.is_token(fields.get("token", "").strip()):
            office.pace.was_wrong(peer, now)
            log.warning("a wrong token was entered", peer=peer)
            return shown(request, 403, "This is not the token.", there)
        office.pace.was_right(peer)
        response = RedirectResponse(there, 303)
        name = plain_name(fields.get("name", ""))
        log.info("somebody logged in", peer=peer, name=name)
        _remember(response, office.access.enter(name), LIFE_S)
        return response

    async def leave(_request: Request, _fields: Fields, _visitor: Visitor) -> Response:
        response = RedirectResponse("/login", 303)
        _remember(response, "", 0)
        return response

    def _remember(response: Response, value: str, life_s: int) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=life_s,
            httponly=True,
            samesite="strict",
            secure=office.origins.is_secure,
        )

    return [
        Route("/login", form, methods=["GET"]),
        Route("/login", enter, methods=["POST"]),
        office.asked("/logout", leave),
    ]
