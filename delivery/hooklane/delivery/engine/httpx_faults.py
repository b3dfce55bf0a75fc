"""Where what httpx and what is below it raise becomes a `Fault`.

h11, httpcore, httpx     protocol (not HTTP/1.1), reset (the connection ended)

Everything else as in `faults`.
"""

from typing import Final

import httpcore
import httpx

from hooklane.delivery.engine.faults import dial_failed, tls_failed, unforeseen
from hooklane.delivery.exchange import Fault, FaultKind

_CONNECT: Final = (httpcore.ConnectError, httpx.ConnectError)
_FOREIGN: Final = (
    ((httpcore.ProxyError, httpx.ProxyError), FaultKind.PROXY, "the proxy failed"),
    (
        (httpcore.ConnectTimeout, httpx.ConnectTimeout),
        FaultKind.CONNECT_TIMEOUT,
        "no connection in time",
    ),
    (
        (httpcore.TimeoutException, httpx.TimeoutException),
        FaultKind.TIMEOUT,
        "no complete response in time",
    ),
    (
        (httpcore.ProtocolError, httpx.ProtocolError),
        FaultKind.PROTOCOL,
        "the response broke off or is not HTTP",
    ),
)


def exchange_failed(error: Exception, address: str | None) -> Fault:
    """Whatever an exchange raised."""
    if isinstance(error, _CONNECT):
        return dial_failed(error, address)
    for kinds, kind, detail in _FOREIGN:
        if isinstance(error, kinds) and tls_failed(error, address) is None:
            return Fault(kind, f"{detail}: {error}", address)
    return unforeseen(error, address)
