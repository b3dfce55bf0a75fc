"""An engine that the test answers for, secrets by name, and requests with a way."""

import asyncio
from typing import Any

from hooklane.delivery.exchange import Done, Fault, Request, Response, Running
from hooklane.delivery.way import Way, way_of
from hooklane.runtime.errors import SecretError
from hooklane.schemas.subscription import Subscription, validate
from hooklane.schemas.subscription_values import ServicePolicy


class HandEngine:
    """Keeps what it is asked; the test says how it ends."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Done]] = []
        self.cancelled = 0
        self.closed = 0

    def start(self, request: Request, done: Done) -> "HandEngine":
        self.asked.append((request, done))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    async def close(self) -> None:
        self.closed += 1

    @property
    def headers(self) -> dict[str, str]:
        """Those of the last request."""
        return dict(self.asked[-1][0].headers)

    def end(self, result: Response | Fault, which: int = -1) -> None:
        self.asked[which][1](result)


class Vault:
    """Secrets by their references; `kept_out` was told to be as secret."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.kept_out: list[bytes] = []

    def resolve(self, reference: str) -> bytes:
        kind, _, name = reference.partition(":")
        if kind != "file" or name not in self.files:
            raise SecretError(f"The secret {reference} is not there.")
        return self.files[name]

    def keep_out(self, value: bytes) -> None:
        self.kept_out.append(value)


def document(**fields: Any) -> Subscription:
    return validate(
        {"id": "s", "url": "https://hooks.example/x", **fields}, ServicePolicy(allow_http=True)
    )


def way(**fields: Any) -> Way:
    found = way_of(document(**fields))
    assert found is not None
    return found


def asked(of: Way | None, url: str = "https://hooks.example/x", timeout_s: float = 5.0) -> Request:
    return Request("POST", url, ("webhook-id: msg_1",), b"{}", timeout_s, 5.0, of)


class Ends:
    """What was told of one exchange."""

    def __init__(self) -> None:
        self.told: asyncio.Future[Response | Fault] = asyncio.get_running_loop().create_future()
        self.running: Running | None = None

    def done(self, result: Response | Fault) -> None:
        assert self.running is not None, "told within start"
        self.told.set_result(result)  # raises if told twice

    async def result(self) -> Response | Fault:
        async with asyncio.timeout(10):
            return await self.told

    async def response(self) -> Response:
        result = await self.result()
        assert isinstance(result, Response), result
        return result

    async def fault(self) -> Fault:
        result = await self.result()
        assert isinstance(result, Fault), result
        return result


def begun(engine: Any, request: Request) -> Ends:
    ends = Ends()
    ends.running = engine.start(request, ends.done)
    return ends
