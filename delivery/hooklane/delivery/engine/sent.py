"""How much of what was written to a connection has really left this host."""

import asyncio
import socket
import struct
from typing import Final

_SENT: Final = struct.Struct("@Q")
_AT: Final = 200
"""Where `tcpi_bytes_sent` stands in `struct tcp_info` (linux/tcp.h, since 4.19)."""


def bytes_sent(transport: asyncio.BaseTransport | None) -> int | None:
    """Bytes that the kernel has sent over this plain TCP connection, repeats included.

    Also for a connection that has just ended. None: not known, as under TLS, whose bytes are not
    the ones that were written.
    """
    if transport is None or transport.get_extra_info("sslcontext") is not None:
        return None
    found = transport.get_extra_info("socket")
    try:
        raw = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except (OSError, AttributeError):
        return None
    return _SENT.unpack_from(raw, _AT)[0] if len(raw) >= _AT + _SENT.size else None
