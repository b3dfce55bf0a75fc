"""One event's way, by its id or its key: `hooklane trace` as a page."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.console.asked import given_window, text
from hooklane.ops.console.office import Office, now_ms
from hooklane.ops.log_selection import Window, typed_keys
from hooklane.ops.output import Row, heard_by
from hooklane.ops.trace_desk import TraceDesk
from hooklane.ops.trace_view import concerned, trail_row
from hooklane.runtime.errors import UsageError

_USUAL: Final = "24h"
_LIMIT: Final = 10


def routes(office: Office) -> list[Route]:
    def read(
        event: str | None, key: str | None, chosen: tuple[str | None, str | None], times: Window
    ) -> tuple[list[Row], int]:
        subscription, tenant = chosen
        desk = TraceDesk(office.settings, [])
        try:
            entries = [
                entry
                for entry in desk.book()
                if subscription in {None, entry.id} and tenant in {None, entry.subscription.tenant}
            ]
            finder = desk.finder()
            if event is not None:
                found = finder.of_id(event, times, _LIMIT)
            else:
                found = finder.of_key(typed_keys(key) or frozenset(), times, _LIMIT)
            trails = desk.trails(found, entries)
        finally:
            desk.close()
        now = now_ms()
        rows: list[Row] = []
        others: set[str] = set()
        for trail in trails:
            ways = list(trail.ways) if any(chosen) else concerned(trail.ways)
            others |= {way.entry.id for way in trail.ways} - {way.entry.id for way in ways}
            rows.append(trail_row(trail, ways, now))
        return rows[::-1], len(others)

    async def page(request: Request) -> Response:
        given = request.query_params
        event, key = text(given, "event"), text(given, "key")
        chosen = text(given, "subscription"), text(given, "tenant")
        notices: list[str] = []
        rows: list[Row] | None = None
        others = 0
        if event is not None and key is not None:
            raise UsageError("Give an event's id, or a key: one of the two.")
        if event is not None or key is not None:
            times = given_window(given, _USUAL)
            with heard_by(notices.append):
                rows, others = await office.read(lambda: read(event, key, chosen, times))
        return office.renderer.page(
            request, "trace.html", rows=rows, others=others, given=given, notices=notices
        )

    return [Route("/trace", page, methods=["GET"])]
