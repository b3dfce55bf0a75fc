"""A test event for one subscription."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooklane.ops.console.access import Visitor
from hooklane.ops.console.asked import reason, text
from hooklane.ops.console.office import Fields, Office, audited
from hooklane.ops.console.render import query
from hooklane.ops.console.test_event import EventTestDesk, usual_type
from hooklane.runtime.errors import UsageError
from hooklane.schemas.event import NOT_JSON, read_json

_DATA: Final = '{"test": true}'


def routes(office: Office) -> list[Route]:
    async def form(request: Request) -> Response:
        book = await office.read(lambda: office.book.now().value)
        entry = book.entry(request.path_params["name"])
        if entry is None:
            raise HTTPException(404)
        return office.renderer.page(
            request,
            "test_event.html",
            entry=entry,
            type=usual_type(entry),
            data=_DATA,
        )

    async def send(request: Request, fields: Fields, visitor: Visitor) -> Response:
        name: str = request.path_params["name"]
        type_, data = text(fields, "type"), text(fields, "data")
        if type_ is None or data is None:
            raise UsageError("A test event needs a type and data.")
        body = data.encode()
        if read_json(body) is NOT_JSON:
            raise UsageError("The data is not JSON: mend it, and send it again.")
        action = audited(
            visitor,
            "console test-event",
            reason(fields),
            request,
            subscription=name,
            selection={"type": type_},
        )
        desk = EventTestDesk(office.settings)
        event_id = await office.read(lambda: desk.send(name, type_, body, action))
        office.backlog.forget()
        return RedirectResponse(f"/attempts{query(event=event_id, sent='yes')}", 303)

    return [
        Route("/subscriptions/{name}/test", form, methods=["GET"]),
        office.action("/subscriptions/{name}/test", send),
    ]
