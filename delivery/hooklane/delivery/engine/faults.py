"""Where what the network stack raises becomes a `Fault`.

ssl.SSLError             tls
ConnectionRefusedError   connection-refused, and every other error of dialling
other OSError            reset

What httpx raises is told in `httpx_faults`: it is loaded only where its engine is used.
"""

import errno
import os
import ssl
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Final

from hooklane.delivery.exchange import Fault, FaultKind
from hooklane.delivery.target import Address

_CONNECT_TIMES_OUT: Final = frozenset({errno.ETIMEDOUT})
_NO_FAILURE: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""TLS waited for the peer when something else happened."""


class Faulted(Exception):  # noqa: N818 - it carries a fault, it is not one more error
    """Carries a fault through code that is not ours."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


def shown(address: Address, port: int) -> str:
    """An address and port as they are written in attempt records."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


def timed_out(timeout_s: float, address: str | None) -> Fault:
    return Fault(FaultKind.TIMEOUT, f"no complete response within {timeout_s:g} s", address)


def lookup_timed_out(name: str, timeout_s: float) -> Fault:
    return Fault(FaultKind.DNS, f"{name} could not be looked up within {timeout_s:g} s")


def connect_timed_out(timeout_s: float, address: str | None) -> Fault:
    return Fault(FaultKind.CONNECT_TIMEOUT, f"no connection within {timeout_s:g} s", address)


def connection_ended(address: str | None) -> Fault:
    return Fault(FaultKind.RESET, "the connection ended before the response had been read", address)


def first_byte_timed_out(limit_s: float, address: str | None) -> Fault:
    detail = f"not one byte of a response within {limit_s:g} s"
    return Fault(FaultKind.FIRST_BYTE_TIMEOUT, detail, address)


UNSENT: Final = Fault(FaultKind.RESET, "the connection ended before anything had been sent")
"""By identity: nothing of the request has left this host."""


def not_http(detail: str, address: str | None) -> Fault:
    return Fault(FaultKind.PROTOCOL, f"the response is not HTTP/1.1: {detail[:200]}", address)


def over_bounds(detail: str, address: str | None) -> Fault:
    return Fault(FaultKind.PROTOCOL, f"the response cannot be used: {detail}", address)


def connection_lost(error: BaseException | None, address: str | None) -> Fault:
    """A connection ended in the middle of an exchange: by a word of TLS (a client certificate that
    is not wanted is told only now), or just so."""
    tls = None if error is None else tls_failed(error, address)
    return tls or connection_ended(address)


def dial_failed(error: BaseException, address: str | None) -> Fault:
    """A connection, or its TLS, could not be made."""
    return tls_failed(error, address) or _refused(error, address)


def handshake_failed(error: BaseException, address: str | None) -> Fault:
    """TLS could not be agreed on; also when the peer just went away in the middle of it."""
    tls = tls_failed(error, address)
    return tls or Fault(FaultKind.TLS, "the connection ended during the TLS handshake", address)


def unforeseen(error: Exception, address: str | None) -> Fault:
    """Whatever our own engine raised."""
    if isinstance(error, Faulted):
        return error.fault
    return tls_failed(error, address) or connection_ended(address)


def tls_failed(error: BaseException, address: str | None) -> Fault | None:
    """What TLS said, if it is behind this error."""
    failures = (one for one in _chain(error) if not isinstance(one, _NO_FAILURE))
    found = next((one for one in failures if isinstance(one, ssl.SSLError)), None)
    match found:
        case None:
            return None
        case ssl.SSLCertVerificationError():
            # Other libraries have kinds of this error without what OpenSSL says.
            why = getattr(found, "verify_message", None) or str(found)
            detail = f"the certificate is not valid: {why[:200]}"
        case _:
            detail = f"TLS failed: {found.reason or 'the peer broke it off'}"
    return Fault(FaultKind.TLS, detail, address)


def _refused(error: BaseException, address: str | None) -> Fault:
    known = (one for one in _chain(error) if isinstance(one, OSError) and one.errno)
    found = next(known, None)
    if found is None:
        return Fault(FaultKind.CONNECTION_REFUSED, "no connection could be made", address)
    if found.errno in _CONNECT_TIMES_OUT:
        return Fault(FaultKind.CONNECT_TIMEOUT, "the address does not answer", address)
    reason = os.strerror(found.errno or 0).lower()
    return Fault(FaultKind.CONNECTION_REFUSED, f"no connection could be made: {reason}", address)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
