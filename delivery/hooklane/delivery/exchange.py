"""One HTTP exchange as values, and what an engine must be able to do with them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hooklane.delivery.way import Way


class FaultKind(StrEnum):
    """Why an exchange gave no response. The words are the `reason` of attempt records."""

    DNS = "dns"
    BLOCKED_ADDRESS = "blocked-address"
    INVALID_URL = "invalid-url"
    CONNECT_TIMEOUT = "connect-timeout"
    CONNECTION_REFUSED = "connection-refused"
    TLS = "tls"
    TIMEOUT = "timeout"
    """The total time was up."""
    FIRST_BYTE_TIMEOUT = "first-byte-timeout"
    """Not one byte of a response came in its time."""
    RESET = "reset"
    """The connection ended before the response had been read."""
    PROTOCOL = "protocol"
    """What came back is not HTTP, or over a limit."""
    PROXY = "proxy"
    HANDSHAKE = "handshake"
    """The receiver was asked whether it wants deliveries, and did not say yes."""
    TOO_LARGE = "payload-too-large"
    SETUP = "setup"
    """The request could not be made: a secret, a token or a certificate was not to be had."""
    PLUGIN = "plugin"
    """The request could not be made: a plugin failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. `lines` are the headers in order, `name: value`, names in lower case; `body`
    as it goes on the wire. `way`: how it differs from a plain request, if it does.
    """

    method: str
    url: str
    lines: tuple[str, ...]
    body: bytes
    timeout_s: float
    connect_timeout_s: float
    way: Way | None = None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The lines as pairs of name and value."""
        pairs = (line.partition(": ") for line in self.lines)
        return tuple((name, value) for name, _, value in pairs)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `body` is at most the cap; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    address: str
    """The dialled address and port."""


@dataclass(frozen=True, slots=True)
class Fault:
    """No response, and why, in one sentence without secrets."""

    kind: FaultKind
    detail: str
    address: str | None = None


Done = Callable[[Response | Fault], None]
"""Where an exchange's end is told."""


class Running(Protocol):
    """An exchange or attempt that is under way."""

    def cancel(self) -> None:
        """Cut it off. Its callback is not called any more."""


class Engine(Protocol):
    """Sends requests. Callbacks and not tasks, so that an engine may do without a task each."""

    def start(self, request: Request, done: Callable[[Response | Fault], None]) -> Running:
        """Begin. `done` is called exactly once, from the event loop, never from within `start`."""

    async def close(self) -> None:
        """Close every connection."""
