"""One subscription: its health, how its attempts went over time, what waits, its document."""

import json
from typing import Final

import yaml
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.attempts_read import Found
from hooklane.ops.attempts_view import attempt_row
from hooklane.ops.console.chart import outcome_chart
from hooklane.ops.console.office import Office, now_ms
from hooklane.ops.console.page_subscriptions import HOUR_MS, health_of
from hooklane.ops.console.waiting import Backlog
from hooklane.ops.lanes_view import lane_row
from hooklane.schemas.book import SubscriptionBook

RANGES: Final = {"1h": (1, 1), "6h": (6, 5), "24h": (24, 15)}
"""Hours, and minutes of a bar."""
_ATTEMPTS: Final = 15
_LANES: Final = 15


def routes(office: Office) -> list[Route]:
    def read() -> tuple[SubscriptionBook, Backlog]:
        return office.book.now().value, office.backlog.now().value

    async def page(request: Request) -> Response:
        name: str = request.path_params["name"]
        book, backlog = await office.read(read)
        row = next((one for one in health_of(office, book, backlog) if one.id == name), None)
        if row is None:
            raise HTTPException(404)
        asked = request.query_params.get("range", "1h")
        hours, width = RANGES.get(asked, RANGES["1h"])
        now = now_ms()
        since_ms = max(now - hours * HOUR_MS, now - office.history_ms())
        series = office.minutes.series(name, since_ms, now, width)
        entry = book.entry(name)
        seen = office.recent.newest(lambda one: one.subscription == name, _ATTEMPTS)
        lanes = [lane for lane in backlog.lanes if lane.is_of(name, None)]
        return office.renderer.page(
            request,
            "subscription.html",
            row=row,
            asked=asked,
            ranges=tuple(RANGES),
            series=series,
            chart=outcome_chart(series),
            attempts=[Found(one.partition, one.offset, attempt_row(one.attempt)) for one in seen],
            lanes=[lane_row(lane, book, now) for lane in lanes[:_LANES]],
            document=None if entry is None else written(entry.subscription.shown()),
        )

    return [Route("/subscriptions/{name}", page, methods=["GET"])]


def written(document: dict[str, object]) -> str:
    """As YAML, secrets as `set`."""
    plain = json.loads(json.dumps(document))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
