"""Dead letters are delivered again: counted first, begun with a reason, followed to its end.

What is counted, and what writes, is what `hooklane dead-letters redrive` does.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooklane.ops.audit_action import Action
from hooklane.ops.console.access import Visitor
from hooklane.ops.console.asked import letter_selection, reason, text
from hooklane.ops.console.office import Fields, Office, audited
from hooklane.ops.console.page_dead_letters import SELECTING
from hooklane.ops.dead_letters_view import LetterSelection
from hooklane.ops.output import heard_by
from hooklane.ops.redrive_plan import REMEDIES, Left
from hooklane.ops.run_options import rate_limit
from hooklane.runtime.errors import UsageError

_NAME: Final = "dead-letters redrive"
_REMEDIES: Final = {left.value: said for left, said in REMEDIES.items()}


def routes(office: Office) -> list[Route]:
    async def counted(request: Request) -> Response:
        given = request.query_params
        selection = _selection(given, await office.among(text(given, "tenant")))
        action = Action.new(_NAME, "", "", "", selection=_asked(given, selection))
        notices: list[str] = []

        def count() -> tuple[int, int, Mapping[str, int], str | None]:
            with heard_by(notices.append):
                found = office.redrives.counted(action, selection)
            left = {_word(one): count for one, count in sorted(found.plan.left.items()) if count}
            goes_on = found.action.id if found.goes_on else None
            return found.matched, len(found.plan.tasks), left, goes_on

        matched, tasks, left, goes_on = await office.read(count)
        return office.renderer.page(
            request,
            "redrive.html",
            matched=matched,
            tasks=tasks,
            left=left,
            remedies=_REMEDIES,
            goes_on=goes_on,
            notices=notices,
            fields={name: given[name] for name in (*SELECTING, "again", "all") if given.get(name)},
        )

    async def begin(request: Request, fields: Fields, visitor: Visitor) -> Response:
        selection = _selection(fields, await office.among(text(fields, "tenant")))
        rate = text(fields, "rate")
        limit = rate_limit(rate)
        action = audited(
            visitor,
            _NAME,
            reason(fields),
            request,
            subscription=selection.subscription,
            selection=_asked(fields, selection),
        )
        running = office.redrives.begin(action, selection, limit)
        return RedirectResponse(f"/redrives/{running.name}", 303)

    async def shown(request: Request) -> Response:
        running = office.redrives.get(request.path_params["name"])
        if running is None:
            raise HTTPException(404)
        return office.renderer.page(request, "redriving.html", run=running, remedies=_REMEDIES)

    async def stop(request: Request, _fields: Fields, _visitor: Visitor) -> Response:
        running = office.redrives.get(request.path_params["name"])
        if running is None:
            raise HTTPException(404)
        running.stop.ask()
        return RedirectResponse(f"/redrives/{running.name}", 303)

    return [
        Route("/redrive", counted, methods=["GET"]),
        office.action("/redrive", begin),
        Route("/redrives/{name}", shown, methods=["GET"]),
        office.action("/redrives/{name}/stop", stop),
    ]


def _selection(given: Mapping[str, str], among: frozenset[str] | None) -> LetterSelection:
    selection = replace(letter_selection(given), among=among)
    if selection == LetterSelection() and given.get("all") != "yes":
        raise UsageError(
            "Say which dead letters: by a subscription, tenant, key, reason or time, or all of "
            "them."
        )
    return selection


def _asked(given: Mapping[str, str], selection: LetterSelection) -> dict[str, str | None]:
    """As the command has it in the audit, by which an interrupted run is gone on with from here or
    from there."""
    times = selection.window
    return {
        **{name: text(given, name) for name in SELECTING},
        "all": "yes" if selection == LetterSelection() else None,
        "since_ms": None if times.since_ms is None else str(times.since_ms),
        "until_ms": None if times.until_ms is None else str(times.until_ms),
        "again": "yes" if given.get("again") == "yes" else None,
    }


def _word(left: Left) -> str:
    return left.value
