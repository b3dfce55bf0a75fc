"""Pages from templates: HTML escaped by Jinja, what every page has, and how values are written."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from hooklane.ops.console.access import Visitor
from hooklane.ops.console.forms import TOKEN_FIELD
from hooklane.ops.console.sessions import FormTokens
from hooklane.ops.output import printable
from hooklane.schemas.version import __version__

NOTHING: Final = "\N{EN DASH}"
NAVIGATION: Final = (
    ("/", "Subscriptions"),
    ("/attempts", "Attempts"),
    ("/lanes", "Lanes"),
    ("/dead-letters", "Dead letters"),
    ("/trace", "Trace"),
    ("/signature", "Signature"),
    ("/audit", "Audit"),
)


class Renderer:
    def __init__(self, tokens: FormTokens, *, read_only: bool) -> None:
        self._tokens = tokens
        self._read_only = read_only
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("hooklane.ops.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(FILTERS)
        self._templates.globals.update(
            NAVIGATION=NAVIGATION, VERSION=__version__, TOKEN_FIELD=TOKEN_FIELD, query=query
        )

    def page(
        self, request: Request, template: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A page. `values`: what its template names."""
        visitor: Visitor | None = request.state.visitor

        def form_token(action: str) -> str:
            return self._tokens.make("" if visitor is None else visitor.session, action)

        text = self._templates.get_template(template).render(
            visitor=visitor,
            read_only=self._read_only,
            path=request.url.path,
            form_token=form_token,
            now=datetime.now(UTC),
            **values,
        )
        return HTMLResponse(text, status)


def moment(value: datetime | int | None) -> str:
    """A time in UTC, to the second; of an int milliseconds since the epoch."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        value = datetime.fromtimestamp(value / 1000, UTC)
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(value: datetime | int | None, now: datetime) -> str:
    """How long ago, or until then, in one unit."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        value = datetime.fromtimestamp(value / 1000, UTC)
    seconds = (now - value).total_seconds()
    text = span(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def span(seconds: float) -> str:
    """A time span in one unit."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def percent(part: float | None) -> str:
    """Cut and not rounded: 100 % is said only of all."""
    return NOTHING if part is None else f"{int(part * 1000) / 10:g} %"


def milliseconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value / 1000:.1f} s" if value >= 10_000 else f"{value:.0f} ms"


def shown(value: object) -> str:
    """Any value of a row, as one line of text."""
    match value:
        case None | "":
            text = NOTHING
        case bool():
            text = "yes" if value else "no"
        case datetime():
            text = moment(value)
        case int():
            text = f"{value:,}"
        case Mapping():
            text = json.dumps(value, default=str, ensure_ascii=False)
        case list() | tuple():
            text = ", ".join(map(shown, value)) or NOTHING
        case _:
            text = str(value)
    return printable(text)


def query(**fields: object) -> str:
    """The part of an address behind its path, of those that are not None."""
    given = {name: value for name, value in fields.items() if value not in {None, ""}}
    return f"?{urlencode(given)}" if given else ""


FILTERS: Final = {
    "moment": moment,
    "ago": ago,
    "shown": shown,
    "percent": percent,
    "milliseconds": milliseconds,
}
"""What templates may ask for; those of the catalog use the same parts."""
