"""Dead letters: what was given up and why, and each with its payload."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.console.asked import letter_selection, letter_state, text
from hooklane.ops.console.office import Office
from hooklane.ops.dead_letters_read import listed_letters, the_letter
from hooklane.ops.dead_letters_view import LetterId, LetterSelection, shown_letter
from hooklane.ops.letter_state import LetterState
from hooklane.ops.log_reader import open_reader
from hooklane.ops.output import Row, heard_by
from hooklane.schemas.records import DeadLetterReason

_LIMIT: Final = 200
SELECTING: Final = ("ids", "subscription", "tenant", "key", "reason", "since", "until")
"""The fields that say which letters are meant."""


def routes(office: Office) -> list[Route]:
    topic = office.settings.topic_names.dead_letters

    def read(selection: LetterSelection, wanted: LetterState) -> tuple[list[Row], list[str]]:
        notices: list[str] = []
        with heard_by(notices.append), open_reader(office.settings) as reader:
            rows = listed_letters(reader, topic, selection, wanted, _LIMIT)
        return rows[::-1], notices

    async def listed(request: Request) -> Response:
        given = request.query_params
        among = await office.among(text(given, "tenant"))
        selection = replace(letter_selection(given), among=among)
        wanted = letter_state(given)
        rows, notices = await office.read(lambda: read(selection, wanted))
        return office.renderer.page(
            request,
            "dead_letters.html",
            rows=rows,
            notices=notices,
            given=given,
            wanted=wanted,
            selecting={name: given.get(name) for name in SELECTING},
            reasons=tuple(DeadLetterReason),
            states=tuple(LetterState),
        )

    def one(given: str) -> Row:
        wanted = LetterId.parse(given)
        with open_reader(office.settings) as reader:
            line, mark = the_letter(reader, topic, wanted, given)
        return shown_letter(line.key, line.value or b"", line.timestamp_ms, mark)

    async def shown(request: Request) -> Response:
        row = await office.read(lambda: one(request.path_params["letter"]))
        return office.renderer.page(request, "dead_letter.html", row=row)

    return [
        Route("/dead-letters", listed, methods=["GET"]),
        Route("/dead-letters/{letter}", shown, methods=["GET"]),
    ]
