"""What operators did, and why; where each deed on these pages leads to."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.audit_read import audit_spans, listed_audit
from hooklane.ops.audit_view import AuditSelection
from hooklane.ops.console.asked import given_window, text
from hooklane.ops.console.office import Office
from hooklane.ops.log_reader import open_reader
from hooklane.ops.output import Row, heard_by

_LIMIT: Final = 200


def routes(office: Office) -> list[Route]:
    def read(selection: AuditSelection) -> tuple[list[Row], list[str]]:
        notices: list[str] = []
        with heard_by(notices.append), open_reader(office.settings) as reader:
            spans = audit_spans(reader, office.settings.topic_names.audit, selection)
            rows = listed_audit(reader, spans, selection, _LIMIT)
        return rows[::-1], notices

    async def page(request: Request) -> Response:
        given = request.query_params
        selection = AuditSelection(
            given_window(given),
            text(given, "by"),
            text(given, "action"),
            text(given, "subscription"),
            text(given, "id"),
        )
        rows, notices = await office.read(lambda: read(selection))
        return office.renderer.page(request, "audit.html", rows=rows, given=given, notices=notices)

    return [Route("/audit", page, methods=["GET"])]
