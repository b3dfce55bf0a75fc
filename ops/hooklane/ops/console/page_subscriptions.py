"""All subscriptions and how they are: what needs somebody comes first."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooklane.ops.console.asked import text
from hooklane.ops.console.chart import outcome_chart
from hooklane.ops.console.health import Health, health_rows
from hooklane.ops.console.office import Office, now_ms
from hooklane.ops.console.waiting import Backlog
from hooklane.schemas.book import SubscriptionBook

HOUR_MS = 3_600_000
_MOST = 500


def health_of(office: Office, book: SubscriptionBook, backlog: Backlog) -> list[Health]:
    """Rates are those of the last hour."""
    tallies = office.minutes.tallies(now_ms() - HOUR_MS)
    errors = {entry.id: office.minutes.last_error(entry.id) for entry in book}
    return health_rows(book, tallies, backlog.by_subscription, office.services.facts, errors)


def routes(office: Office) -> list[Route]:
    def read() -> tuple[SubscriptionBook, Backlog, float]:
        book, backlog = office.book.now().value, office.backlog.now()
        return book, backlog.value, backlog.age_s

    async def page(request: Request) -> Response:
        book, backlog, age_s = await office.read(read)
        given = request.query_params
        wanted = matching(text(given, "find"), text(given, "state"), text(given, "tenant"))
        every = health_of(office, book, backlog)
        rows = [row for row in every if wanted(row)]
        now = now_ms()
        series = office.minutes.series(None, now - HOUR_MS, now, 1)
        return office.renderer.page(
            request,
            "subscriptions.html",
            rows=rows[:_MOST],
            all_rows=len(rows),
            every=len(every),
            given=given,
            backlog=backlog,
            age_s=age_s,
            chart=outcome_chart(series),
            services=office.services.facts,
            follower=office.follower,
            since_ms=office.minutes.oldest_ms(),
        )

    return [Route("/", page, methods=["GET"])]


def matching(
    find: str | None, word: str | None, tenant: str | None = None
) -> Callable[[Health], bool]:
    """Which rows are asked for: by a part of the id, tenant or URL, by the word of health, and by
    the tenant."""

    def wanted(row: Health) -> bool:
        texts = (row.id, row.tenant or "", row.url or "")
        return (
            word in {None, row.word}
            and tenant in {None, row.tenant}
            and (find is None or any(find.casefold() in one.casefold() for one in texts))
        )

    return wanted
