"""One attempt in full: the request as the document makes it, the response, what came before."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.attempts_view import attempt_row
from hooklane.ops.console.exchange import Made, made_request, record_at
from hooklane.ops.console.office import Office
from hooklane.ops.event_reading import EventReading
from hooklane.ops.log_reader import open_reader
from hooklane.ops.log_selection import content, cut_content
from hooklane.schemas.codec import ATTEMPTS, CodecError
from hooklane.schemas.records import DeliveryAttempt

_OTHERS: Final = 20


def routes(office: Office) -> list[Route]:
    def read(partition: int, offset: int) -> tuple[DeliveryAttempt, Made | str] | None:
        book = office.book.now().value
        with open_reader(office.settings) as reader:
            line = record_at(reader, office.settings.topic_names.attempts, partition, offset)
            if line is None or line.value is None:
                return None
            try:
                attempt = ATTEMPTS.decode(line.value)
            except CodecError as error:
                raise HTTPException(404, str(error)) from error
            read = EventReading(office.settings).looked_at
            return attempt, made_request(reader, read, attempt, book.entry(attempt.subscription))

    async def page(request: Request) -> Response:
        place = request.path_params
        found = await office.read(lambda: read(place["partition"], place["offset"]))
        if found is None:
            raise HTTPException(404)
        attempt, made = found
        others = office.recent.newest(
            lambda one: (one.lane, one.sequence) == (attempt.lane, attempt.sequence), _OTHERS
        )
        return office.renderer.page(
            request,
            "attempt.html",
            row=attempt_row(attempt),
            response=cut_content("text", attempt.response),
            made=made if isinstance(made, Made) else None,
            unmade=made if isinstance(made, str) else "",
            body=content("text", made.body) if isinstance(made, Made) else {},
            others=others,
            place=place,
        )

    return [Route("/attempts/{partition:int}/{offset:int}", page, methods=["GET"])]
