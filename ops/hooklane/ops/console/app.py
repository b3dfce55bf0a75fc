"""The console as an ASGI application: its pages, its errors, and the gate before all of it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from hooklane.ops.console import (
    page_attempt,
    page_attempts,
    page_audit,
    page_dead_letters,
    page_lane,
    page_lanes,
    page_login,
    page_redrive,
    page_signature,
    page_subscription,
    page_subscriptions,
    page_test_event,
    page_trace,
)
from hooklane.ops.console.forms import RefusedFormError
from hooklane.ops.console.gate import Gate
from hooklane.ops.console.office import Office
from hooklane.ops.dead_letters_view import NoSuchLetterError
from hooklane.ops.lanes_read import NoSuchLaneError
from hooklane.runtime.errors import BrokerError, HooklaneError, TopicsError, UsageError

log = structlog.get_logger()

_STATIC: Final = Path(__file__).parent / "static"
_PAGES: Final = (
    page_login,
    page_subscriptions,
    page_subscription,
    page_test_event,
    page_attempts,
    page_attempt,
    page_lanes,
    page_lane,
    page_dead_letters,
    page_redrive,
    page_trace,
    page_signature,
    page_audit,
)
_STATUSES: Final[tuple[tuple[tuple[type[HooklaneError], ...], int], ...]] = (
    ((NoSuchLaneError, NoSuchLetterError), 404),
    ((UsageError,), 400),
    ((RefusedFormError,), 403),
    ((BrokerError, TopicsError), 503),
)


def console_app(office: Office) -> ASGIApp:
    routes: list[Route | Mount] = [route for page in _PAGES for route in page.routes(office)]
    routes += [
        Route("/healthz", _alive),
        Route("/readyz", _ready(office)),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HooklaneError: _failed(office),
            HTTPException: _http_failed(office),
            Exception: _fault,
        },
    )
    return Gate(app, office.access, office.origins)


def status_of(error: HooklaneError) -> int:
    return next((status for kinds, status in _STATUSES if isinstance(error, kinds)), 500)


def _failed(office: Office) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        status = status_of(error) if isinstance(error, HooklaneError) else 500
        return office.renderer.page(request, "error.html", status, number=status, said=str(error))

    return handler


def _http_failed(office: Office) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = "There is no such page." if status == 404 else "This cannot be asked for so."
        return office.renderer.page(request, "error.html", status, number=status, said=said)

    return handler


async def _fault(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("A fault of the console: its log says more.\n", 500)


async def _alive(_request: Request) -> Response:
    return JSONResponse({"alive": True})


def _ready(office: Office) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_request: Request) -> Response:
        done = office.follower.caught_up.is_set()
        missing = [] if done else ["the attempts have not been read to their end"]
        return JSONResponse({"ready": done, "missing": missing}, 200 if done else 503)

    return ready
