"""A request as HTTP/1.1 bytes."""

from functools import lru_cache

from hooklane.delivery.exchange import Request
from hooklane.delivery.target import Target


class UnsendableError(ValueError):
    """A header would break the request's framing."""


def serialized(
    request: Request, target: Target, to_proxy: tuple[tuple[str, str], ...] | None = None
) -> bytes:
    """Head and body in one piece, so that they leave in one write.

    `to_proxy`: headers for a proxy that is asked for the request itself (RFC 9112, section 3.2.2).

    Raises:
        UnsendableError: a header name or value holds a line break or is not Latin-1.
    """
    head = "\r\n".join((*request.lines, f"content-length: {len(request.body)}", "", ""))
    # Counted once over the whole head instead of searched for in each value.
    breaks = len(request.lines) + 2
    if head.count("\n") != breaks or head.count("\r") != breaks:
        raise UnsendableError("a header holds a line break")
    try:
        encoded = head.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UnsendableError("a header holds a character that is not Latin-1") from error
    if to_proxy is not None:
        return _to_proxy(request.method, target, to_proxy) + encoded + request.body
    return _request_line(request.method, target) + encoded + request.body


def encoded_headers(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers for an engine that frames requests itself.

    Raises:
        UnsendableError: as `serialized`.
    """
    try:
        return [_encoded(name, value) for name, value in request.headers]
    except UnicodeEncodeError as error:
        raise UnsendableError("a header holds a character that is not Latin-1") from error


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    pair = f"{name}{value}"
    if "\n" in pair or "\r" in pair:
        raise UnsendableError("a header holds a line break")
    return name.encode("latin-1"), value.encode("latin-1")


@lru_cache(maxsize=4096)
def _request_line(method: str, target: Target) -> bytes:
    return f"{method} {target.path} HTTP/1.1\r\nhost: {target.authority}\r\n".encode("ascii")


def absolute(target: Target) -> str:
    """The whole URL, as a proxy is asked for it."""
    return f"{target.origin.scheme}://{target.authority}{target.path}"


def _to_proxy(method: str, target: Target, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"{method} {absolute(target)} HTTP/1.1", f"host: {target.authority}"]
    lines += [": ".join(header) for header in headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
