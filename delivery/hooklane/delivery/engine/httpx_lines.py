"""A transport for each line: made, lent to many exchanges at once, and closed."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
import structlog

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.way import Line

log = structlog.get_logger(__name__)

Make = Callable[[ssl.SSLContext], httpx.AsyncBaseTransport]
"""Makes a transport that verifies by that context."""

_SWEEP_S: Final = 1.0
_CLOSE_S: Final = 5.0


@dataclass(slots=True, eq=False)
class Lent:
    """A transport and how many exchanges it carries; `born` and `idle_since` are loop times.

    A retired one carries on what it has, gets nothing new, and is closed with its last exchange.
    """

    transport: httpx.AsyncBaseTransport
    context: ssl.SSLContext
    born: float
    idle_since: float
    running: int = 0
    retired: bool = False


class Transports:
    """Never one for two lines: httpx's pools know connections by address, and one that was
    verified for one name must not carry the requests of another."""

    def __init__(self, make: Make, bounds: Bounds, context: ssl.SSLContext) -> None:
        """One is made at once, for the first line with `context`: whether it can be is known then.

        Raises:
            SettingsError: it cannot be made.
        """
        self._make = make
        self._bounds = bounds
        self._spare: httpx.AsyncBaseTransport | None = make(context)
        self._spare_context = context
        self._lines: dict[Line, Lent] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, line: Line, context: ssl.SSLContext) -> Lent:
        """The line's transport, a new one if there is none that is young and has that context.

        Raises:
            SettingsError: it cannot be made.
        """
        now = asyncio.get_running_loop().time()
        lent = self._lines.get(line)
        if lent is not None and (lent.context is not context or self._is_old(lent, now)):
            self._retire(line, lent)
            lent = None
        if lent is None:
            lent = self._lines[line] = Lent(self._made(context), context, now, now)
            self._sweep_later()
        lent.running += 1
        return lent

    def give_back(self, line: Line, lent: Lent, *, fit: bool) -> None:
        """An exchange has ended. `fit`: nothing of it is left in the transport."""
        lent.running -= 1
        lent.idle_since = asyncio.get_running_loop().time()
        if lent.retired:
            self._end_unused(lent)
        elif not fit or (lent.running == 0 and self._is_old(lent, lent.idle_since)):
            self._retire(line, lent)

    async def close(self) -> None:
        """Close all of them."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for line, lent in list(self._lines.items()):
            self._retire(line, lent)
        if self._spare is not None:
            await _close(self._spare)
        await asyncio.gather(*self._ending)

    def _made(self, context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
        if self._spare is None or context is not self._spare_context:
            return self._make(context)
        spare, self._spare = self._spare, None
        return spare

    def _is_old(self, lent: Lent, now: float) -> bool:
        return now - lent.born >= self._bounds.age_s

    def _retire(self, line: Line, lent: Lent) -> None:
        del self._lines[line]
        lent.retired = True
        self._end_unused(lent)

    def _end_unused(self, lent: Lent) -> None:
        if lent.running == 0:
            # Beside the exchange that was its last: nobody waits for it.
            task = asyncio.get_running_loop().create_task(_close(lent.transport))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            wait_s = min(_SWEEP_S, self._bounds.idle_s)
            self._sweeper = asyncio.get_running_loop().call_later(wait_s, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        before = asyncio.get_running_loop().time() - self._bounds.idle_s
        for line, lent in list(self._lines.items()):
            if lent.running == 0 and lent.idle_since <= before:
                self._retire(line, lent)
        if self._lines:
            self._sweep_later()


async def _close(transport: httpx.AsyncBaseTransport) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await transport.aclose()
    except Exception as error:  # noqa: BLE001 - whatever it is, no delivery hangs on it
        log.warning("transport.close_failed", reason=str(error) or type(error).__name__)
