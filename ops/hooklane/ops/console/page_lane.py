"""One lane: what waits in it and why; let its first task be tried now, or give it up."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.audit_action import Action
from hooklane.ops.console.access import Visitor
from hooklane.ops.console.asked import number, reason
from hooklane.ops.console.office import Fields, Office, audited, done, now_ms
from hooklane.ops.lanes_desk import LaneDesk
from hooklane.ops.lanes_view import lane_row, task_rows, ticket_row
from hooklane.ops.output import Row
from hooklane.runtime.errors import UsageError

_TASKS: Final = 50
_ATTEMPTS: Final = 100_000
"""The newest of a partition that are looked through for its last error."""


def routes(office: Office) -> list[Route]:
    def one(lane: str) -> tuple[Row, list[Row], object]:
        with LaneDesk(office.settings) as desk:
            found = desk.shown(lane, _TASKS)
            desk.finder.add_last_attempts([found], _ATTEMPTS)
            row = lane_row(found, office.book.now().value, now_ms())
            return row, task_rows(found), ticket_row(found)

    async def shown(request: Request) -> Response:
        row, tasks, ticket = await office.read(lambda: one(request.path_params["lane"]))
        seen = office.recent.newest(lambda attempt: attempt.lane == row["lane"], 20)
        return office.renderer.page(
            request,
            "lane.html",
            row=row,
            tasks=tasks,
            ticket=ticket,
            seen=seen,
        )

    async def retry(request: Request, fields: Fields, visitor: Visitor) -> Response:
        lane = request.path_params["lane"]
        action = audited(visitor, "lanes retry", reason(fields), request, selection={"lane": lane})

        def deed() -> None:
            with LaneDesk(office.settings) as desk:
                desk.retry([desk.shown(lane, 1)], action, now_ms())

        await office.read(deed)
        office.backlog.forget()
        return done(action)

    async def skip(request: Request, fields: Fields, visitor: Visitor) -> Response:
        lane, sequence = request.path_params["lane"], number(fields, "sequence")
        if sequence is None:
            raise UsageError("Which task is meant? The field `sequence` is empty.")
        why = reason(fields)

        def deed() -> Action:
            with LaneDesk(office.settings) as desk:
                chosen = desk.chosen(lane, sequence, _ATTEMPTS)
                action = audited(
                    visitor,
                    "lanes skip",
                    why,
                    request,
                    subscription=chosen.subscription,
                    selection={"task": chosen.id},
                )
                desk.skip(chosen, action, now_ms())
                return action

        action = await office.read(deed)
        office.backlog.forget()
        return done(action)

    return [
        Route("/lanes/{lane}", shown, methods=["GET"]),
        office.action("/lanes/{lane}/retry", retry),
        office.action("/lanes/{lane}/skip", skip),
    ]
