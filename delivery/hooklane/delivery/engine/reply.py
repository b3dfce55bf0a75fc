"""A response while it comes in: httptools' callbacks, and what they add up to. No I/O."""

import httptools

from hooklane.delivery.engine.bounds import Bounds


class BadReplyError(Exception):
    """What comes in is no response that can be used: not HTTP/1.x, ambiguous, or too large."""


class _OverBoundsError(Exception):
    """Raised inside a callback, where httptools wraps it."""


class Reply:
    """Reads the responses of one connection, one after the other.

    Feed it, then look: `complete` (the response is there), `cut` (its body is above the cap and
    the rest is not wanted), `surplus` (bytes that nobody asked for). `begin` before each request.
    """

    __slots__ = (
        "_bounds",
        "_head_bytes",
        "_parser",
        "body",
        "complete",
        "cut",
        "framed",
        "headers",
        "keep_alive",
        "reading",
        "status",
        "surplus",
    )

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._parser = httptools.HttpResponseParser(self)
        self.surplus = False
        self.begin()

    def begin(self) -> None:
        """Be ready for the next response."""
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.complete = False
        self.cut = False
        self.reading = False
        self.framed = False
        self.keep_alive = False
        self._head_bytes = 0

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            BadReplyError: before the response was complete. What follows a complete one does not
                make it worse; it is `surplus`.
        """
        if not self.reading:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise BadReplyError(str(error.__context__)) from error
        except httptools.HttpParserUpgrade as error:
            raise BadReplyError("it switches to another protocol") from error
        except httptools.HttpParserError as error:
            if not self.complete:
                raise BadReplyError(str(error)) from error
            self.surplus = True
        if not self.reading and self._head_bytes > self._bounds.head_bytes:
            raise BadReplyError(f"its head is above {self._bounds.head_bytes} bytes")

    @property
    def begun(self) -> bool:
        """Whether a byte of it has come."""
        return self._head_bytes > 0

    def ended(self) -> bool:
        """Whether the response is complete now that the connection has ended."""
        return self.complete or (self.reading and not self.framed)

    # httptools calls these.

    def on_message_begin(self) -> None:
        if self.complete:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.complete:
            return
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        if len(self.headers) > self._bounds.headers:
            raise _OverBoundsError(f"it has more than {self._bounds.headers} headers")

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()
            return
        size = 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name in {"content-length", "transfer-encoding"}:
                self.framed = True
        if size > self._bounds.head_bytes:
            raise _OverBoundsError(f"its head is above {self._bounds.head_bytes} bytes")
        self.status = status
        self.reading = True

    def on_body(self, data: bytes) -> None:
        room = self._bounds.body_bytes - len(self.body)
        if self.complete or self.cut:
            return
        self.body += data[:room]
        self.cut = len(data) > room

    def on_message_complete(self) -> None:
        # A 1xx is a message of its own before the one that is waited for.
        if self.reading and not self.complete:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()
