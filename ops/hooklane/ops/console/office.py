"""What all pages work with, and how they read Kafka: on threads, only so many at once."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooklane.ops.audit_action import Action
from hooklane.ops.console.access import Access, Visitor
from hooklane.ops.console.follow import AttemptFollower
from hooklane.ops.console.forms import ReadOnlyError, read_form
from hooklane.ops.console.known import Known
from hooklane.ops.console.login_pace import LoginPace
from hooklane.ops.console.minutes import MINUTE_MS, Minutes
from hooklane.ops.console.origins import Origins
from hooklane.ops.console.recent import RecentAttempts
from hooklane.ops.console.redrives import Redrives
from hooklane.ops.console.render import Renderer
from hooklane.ops.console.services import ServiceWatch
from hooklane.ops.console.sessions import FormTokens
from hooklane.ops.console.waiting import Backlog, read_backlog
from hooklane.ops.log_reader import open_reader
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.ops.tenant import of_tenant
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import SubscriptionBook

T = TypeVar("T")

Fields: TypeAlias = Mapping[str, str]
Page: TypeAlias = Callable[[Request], Awaitable[Response]]
Deed: TypeAlias = Callable[[Request, Fields, Visitor], Awaitable[Response]]

_BOOK_S: Final = 5.0
_BACKLOG_S: Final = 5.0
_READERS: Final = 4
"""Readings of Kafka at once: each has a consumer of its own."""


@dataclass(slots=True)
class Office:
    """One console."""

    settings: Settings
    access: Access
    origins: Origins
    tokens: FormTokens
    renderer: Renderer
    recent: RecentAttempts
    minutes: Minutes
    follower: AttemptFollower
    services: ServiceWatch
    pace: LoginPace = field(default_factory=LoginPace)
    redrives: Redrives = field(init=False)
    book: Known[SubscriptionBook] = field(init=False)
    backlog: Known[Backlog] = field(init=False)
    _readers: anyio.CapacityLimiter = field(init=False)

    def __post_init__(self) -> None:
        self.redrives = Redrives(self.settings)
        self.book = Known(ConfigTopic(self.settings).read, _BOOK_S)
        self.backlog = Known(self._read_backlog, _BACKLOG_S)
        self._readers = anyio.CapacityLimiter(_READERS)

    async def read(self, what: Callable[[], T]) -> T:
        """On a thread, since Kafka's clients block."""
        return await anyio.to_thread.run_sync(what, limiter=self._readers)

    async def among(self, tenant: str | None) -> frozenset[str] | None:
        """The subscriptions of a tenant that is asked for; None where none is."""
        if tenant is None:
            return None
        return await self.read(lambda: of_tenant(self.book.now().value, tenant))

    def action(self, path: str, deed: Deed) -> Route:
        """A route for a form that does something: not in a console that is only for looking."""

        async def done(request: Request) -> Response:
            if self.settings.console.read_only:
                raise ReadOnlyError("This console is read-only: HOOKLANE_CONSOLE__READ_ONLY.")
            return await self._posted(request, deed)

        return Route(path, done, methods=["POST"])

    def asked(self, path: str, deed: Deed) -> Route:
        """A route for a form that changes nothing."""

        async def done(request: Request) -> Response:
            return await self._posted(request, deed)

        return Route(path, done, methods=["POST"])

    async def _posted(self, request: Request, deed: Deed) -> Response:
        visitor: Visitor = request.state.visitor
        return await deed(request, await read_form(request, visitor, self.tokens), visitor)

    def _read_backlog(self) -> Backlog:
        with open_reader(self.settings) as reader:
            return read_backlog(reader, self.settings)

    def history_ms(self) -> int:
        """How far charts reach back."""
        return round(self.settings.console.history.seconds) * 1000 // MINUTE_MS * MINUTE_MS


def audited(
    visitor: Visitor,
    name: str,
    why: str,
    request: Request,
    *,
    subscription: str | None = None,
    selection: Mapping[str, str | None] | None = None,
) -> Action:
    """What the audit will have of a deed. The name is the one that the command has."""
    how = "by the proxy's name" if visitor.by_proxy else "by the name entered at login"
    command = f"console: POST {request.url.path} ({how})"
    return Action.new(
        name, visitor.name, why, command, subscription=subscription, selection=selection
    )


def done(action: Action) -> Response:
    """To what the audit has of it."""
    return RedirectResponse(f"/audit?id={action.id}", 303)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
