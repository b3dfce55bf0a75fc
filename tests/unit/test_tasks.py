"""Exchanges that tasks carry."""

import asyncio

from structlog.testing import capture_logs

from hooklane.delivery.exchange import Fault, FaultKind, Response
from hooklane.delivery.tasks import Tasks


async def test_error_of_our_own_is_told() -> None:
    """An exchange that ends by an error nobody thought of is a fault like any other, and told: its
    lane does not wait for good, and the service does not end. The error goes to the log."""
    told: asyncio.Future[Response | Fault] = asyncio.get_running_loop().create_future()

    async def broken() -> Response | Fault:
        raise KeyError("nobody thought of it")

    with capture_logs() as said:
        Tasks().start(broken(), told.set_result)
        async with asyncio.timeout(5):
            fault = await told
    assert fault == Fault(FaultKind.SETUP, "an error of Hooklane's own, KeyError: see the log")
    assert [type(one["exc_info"]) for one in said] == [KeyError]
