"""Attempts: those at hand at once, those that only Kafka still has when they are asked for."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.attempts_find import AttemptPlaces
from hooklane.ops.attempts_read import Found, found_attempts
from hooklane.ops.attempts_view import AttemptSelection, attempt_row
from hooklane.ops.console.asked import attempt_selection, number, text
from hooklane.ops.console.office import Office
from hooklane.ops.console.recent import RecentAttempts, cut_key
from hooklane.ops.log_reader import open_reader
from hooklane.ops.output import heard_by
from hooklane.schemas.records import AttemptOutcome

_LIMIT: Final = 100
_FROM_KAFKA: Final = 500


def routes(office: Office) -> list[Route]:
    def from_kafka(selection: AttemptSelection) -> tuple[list[Found], list[str]]:
        notices: list[str] = []
        with heard_by(notices.append), open_reader(office.settings) as reader:
            places = AttemptPlaces(reader, office.settings)
            found = found_attempts(reader, places, selection, _FROM_KAFKA, everywhere=True)
        return found[::-1], notices

    async def page(request: Request) -> Response:
        given = request.query_params
        among = await office.among(text(given, "tenant"))
        selection = replace(attempt_selection(given), among=among)
        before_ms = number(given, "before")
        whole = given.get("all") == "yes"
        notices: list[str] = []
        if whole:
            found, notices = await office.read(lambda: from_kafka(selection))
            older = None
        else:
            found, older = at_hand(office.recent, selection, before_ms)
        return office.renderer.page(
            request,
            "attempts.html",
            found=found,
            given=given,
            older=older,
            whole=whole,
            notices=notices,
            outcomes=tuple(AttemptOutcome),
            kept=len(office.recent),
            since_ms=office.recent.oldest_ms(),
            dropped=office.recent.dropped,
            follower=office.follower,
        )

    return [Route("/attempts", page, methods=["GET"])]


def at_hand(
    recent: RecentAttempts, selection: AttemptSelection, before_ms: int | None
) -> tuple[list[Found], int | None]:
    """The newest of those that are kept, newest first, begun before `before_ms`; and the time
    before which there are more, or None."""
    if selection.keys is not None:
        selection = replace(selection, keys=frozenset(map(cut_key, selection.keys)))
    seen = recent.newest(
        lambda one: selection.holds(one) and (before_ms is None or one.started_ms < before_ms),
        _LIMIT + 1,
    )
    older = seen[_LIMIT - 1].attempt.started_ms if len(seen) > _LIMIT else None
    rows = [Found(one.partition, one.offset, attempt_row(one.attempt)) for one in seen[:_LIMIT]]
    return rows, older
