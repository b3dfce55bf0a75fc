"""One HTTP/1.1 connection of the native engine: one exchange at a time, callbacks only."""

import asyncio
from typing import Protocol, cast

from hooklane.delivery.engine.bounds import Bounds
from hooklane.delivery.engine.faults import UNSENT, connection_lost, not_http
from hooklane.delivery.engine.reply import BadReplyError, Reply
from hooklane.delivery.engine.sent import bytes_sent
from hooklane.delivery.exchange import Done, Fault, Response


class Home(Protocol):
    """Where a connection comes back to."""

    def idle(self, connection: "Connection") -> None:
        """Its exchange has ended and it can carry another one."""

    def lost(self, connection: "Connection") -> None:
        """It has ended."""


class Connection(asyncio.Protocol):
    """Carries requests to one address. `born` and `idle_since` are loop times.

    The end of an exchange is told after the connection has been given back, so that who is told
    may start the next one on it at once.
    """

    __slots__ = (
        "_done",
        "_home",
        "_last",
        "_reply",
        "_transport",
        "_written",
        "address",
        "born",
        "idle_since",
        "usable",
    )

    def __init__(self, home: Home, address: str, bounds: Bounds) -> None:
        self.address = address
        self.born = asyncio.get_running_loop().time()
        self.idle_since = self.born
        self.usable = True
        self._home = home
        self._reply = Reply(bounds)
        self._transport: asyncio.Transport | None = None
        self._last = self._written = 0
        self._done: Done | None = None

    def send(self, data: bytes, done: Done) -> None:
        """Send a request; `done` gets its end, unless the connection is dropped before."""
        assert self._transport is not None  # noqa: S101 - only made connections are handed out
        self._done = done
        self._reply.begin()
        self._transport.write(data)
        self._last = len(data)
        self._written += self._last

    @property
    def answering(self) -> bool:
        """Whether anything of a response has come."""
        return self._reply.begun

    def drop(self) -> None:
        """End the connection now; an exchange on it is told nothing more."""
        self._done = None
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self.usable:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._done is None:
            # Nobody asked: a late 408, or an answer smuggled in for the next request.
            self.drop()
            self._home.lost(self)
            return
        reply = self._reply
        try:
            reply.feed(data)
        except BadReplyError as error:
            self._end(not_http(str(error), self.address))
        else:
            if reply.complete:
                self._complete()
            elif reply.cut:
                self._end(self._response())

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._home.lost(self)
        if self._done is None:
            return
        if error is None and self._reply.ended():
            self._tell(self._response())
        elif error is not None and self._nothing_left():
            self._tell(UNSENT)
        else:
            self._tell(connection_lost(error, self.address))

    def _nothing_left(self) -> bool:
        """Whether the connection was reset before the last request was handed to the network."""
        sent = bytes_sent(self._transport)
        return sent is not None and not self._reply.begun and sent <= self._written - self._last

    def _complete(self) -> None:
        response = self._response()
        transport = cast("asyncio.Transport", self._transport)
        reply = self._reply
        # An answer that came before the request had left is final; the rest is not sent.
        sent = transport.get_write_buffer_size() == 0
        fit = reply.keep_alive and not reply.cut and not reply.surplus
        if fit and sent and not transport.is_closing():
            done, self._done = self._done, None
            self._home.idle(self)
            if done is not None:
                done(response)
        else:
            self._end(response)

    def _response(self) -> Response:
        reply = self._reply
        return Response(reply.status, tuple(reply.headers), bytes(reply.body), self.address)

    def _end(self, result: Response | Fault) -> None:
        """The exchange and the connection end together."""
        done = self._done
        self.drop()
        self._home.lost(self)
        if done is not None:
            done(result)

    def _tell(self, result: Response | Fault) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)
