"""How far an exchange is, as far as its transport tells by httpx's extension `trace`."""

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

import httpx

from hooklane.delivery.engine.faults import (
    connect_timed_out,
    dial_failed,
    first_byte_timed_out,
    handshake_failed,
)
from hooklane.delivery.engine.httpx_faults import exchange_failed
from hooklane.delivery.exchange import Fault

_ALONE: Final = frozenset({"connection", "proxy", "socks", "http11"})
"""httpcore's layers in which a connection has one exchange at a time."""


class Stage(Enum):
    """What has been told last. Transports that tell nothing stay at the first one."""

    HANDED_OVER = auto()
    CONNECTING = auto()
    SECURING = auto()
    SENDING = auto()
    WAITING = auto()
    ANSWERED = auto()


class Trail:
    """One exchange with one address, and the limit that its present stage has.

    `limit` is the timeout that the exchange runs under. Connecting and TLS have what is left of
    the connect timeout, together; then, once the request is written, the answer's headers have
    `first_byte_s`. A transport that tells nothing keeps to the connect timeout by itself and has
    the sum of both for the headers.
    """

    def __init__(
        self, place: str, connect_s: float, deadline: float, first_byte_s: float | None
    ) -> None:
        """`connect_s`: the connect timeout, which ends at `deadline` (loop time)."""
        self.place = place
        self.stage = Stage.HANDED_OVER
        self.alone = False
        """Whether the connection carries this exchange only, so that it ends with it."""
        self._connect_s = connect_s
        self._deadline = deadline
        self._first_byte_s = first_byte_s
        begins = None if first_byte_s is None else deadline + first_byte_s
        self.limit = asyncio.timeout_at(begins)
        self._unfinished: Any = None

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's events are `layer.step.moment`."""
        layer, _, told = event.partition(".")
        self.alone = layer in _ALONE
        match told:
            case "connect_tcp.started":
                self._go_on(Stage.CONNECTING, self._deadline)
            case "connect_tcp.complete":
                self._unfinished = info.get("return_value")
            case "start_tls.started":
                self._go_on(Stage.SECURING, self._deadline)
            case "send_connection_init.started" | "send_request_headers.started":
                self._unfinished = None
                self._go_on(Stage.SENDING, None)
            case "receive_response_headers.started":
                limit_s = self._first_byte_s
                now = asyncio.get_running_loop().time()
                self._go_on(Stage.WAITING, None if limit_s is None else now + limit_s)
            case _:
                pass

    def answered(self) -> None:
        self._go_on(Stage.ANSWERED, None)

    def _go_on(self, stage: Stage, until: float | None) -> None:
        self.stage = stage
        if not self.limit.expired():
            self.limit.reschedule(until)

    def ran_out(self) -> Fault:
        """Why, when `limit` has expired."""
        if self.stage in {Stage.CONNECTING, Stage.SECURING}:
            return connect_timed_out(self._connect_s, self.place)
        return first_byte_timed_out(self._first_byte_s or 0.0, self.place)

    def failed(self, error: Exception) -> Fault:
        """Why, when the transport has raised `error`."""
        if self.stage is Stage.SECURING:
            return handshake_failed(error, self.place)
        if self.stage is Stage.CONNECTING and not isinstance(error, httpx.HTTPError):
            # What httpcore makes of a proxy that does not speak as one: nothing is sent as yet.
            return dial_failed(error, self.place)
        return exchange_failed(error, self.place)

    async def let_go(self) -> None:
        """Close a connection that was not finished: httpcore forgets it when it is cut off."""
        stream, self._unfinished = self._unfinished, None
        if hasattr(stream, "aclose"):
            await stream.aclose()
