"""Lanes of which deliveries wait; let those of a subscription be tried now."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.console.access import Visitor
from hooklane.ops.console.asked import lane_selection, reason, text
from hooklane.ops.console.known import Aged
from hooklane.ops.console.office import Fields, Office, audited, done, now_ms
from hooklane.ops.console.waiting import Backlog
from hooklane.ops.lanes_desk import LaneDesk, by_waiting
from hooklane.ops.lanes_view import lane_row
from hooklane.runtime.errors import UsageError
from hooklane.schemas.book import SubscriptionBook

_LIMIT: Final = 200


def routes(office: Office) -> list[Route]:
    def read() -> tuple[SubscriptionBook, Aged[Backlog]]:
        return office.book.now().value, office.backlog.now()

    async def listed(request: Request) -> Response:
        given = request.query_params
        among = await office.among(text(given, "tenant"))
        selection = replace(lane_selection(given), among=among)
        book, backlog = await office.read(read)
        lanes = [
            lane
            for lane in backlog.value.lanes
            if selection.may_hold(lane) and selection.is_due(lane) and selection.has_error(lane)
        ]
        now = now_ms()
        rows = [lane_row(lane, book, now) for lane in sorted(lanes, key=by_waiting)[:_LIMIT]]
        return office.renderer.page(
            request,
            "lanes.html",
            rows=rows,
            count=len(lanes),
            given=given,
            backlog=backlog.value,
            age_s=backlog.age_s,
        )

    async def retry_all(request: Request, fields: Fields, visitor: Visitor) -> Response:
        among = await office.among(text(fields, "tenant"))
        selection = replace(lane_selection(fields), among=among)
        if selection.subscription is None and among is None:
            raise UsageError(
                "Choose a subscription or a tenant: not all lanes of all may be retried at once."
            )
        names = ("subscription", "tenant", "key", "halted", "error")
        asked = {name: fields.get(name) for name in names}
        action = audited(
            visitor,
            "lanes retry",
            reason(fields),
            request,
            subscription=selection.subscription,
            selection=asked | {"depth": str(selection.depth) if selection.depth > 1 else None},
        )

        def deed() -> int:
            with LaneDesk(office.settings) as desk:
                return len(desk.retry(desk.selected(selection, 0), action, now_ms()))

        count = await office.read(deed)
        office.backlog.forget()
        if not count:
            raise UsageError("No such lane waits any more: nothing was done.")
        return done(action)

    return [
        Route("/lanes", listed, methods=["GET"]),
        office.action("/lanes/retry", retry_all),
    ]
