"""The TLS that receivers are spoken to with."""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import certifi

Trust = Callable[[], ssl.SSLContext]
"""The context for a new connection: authorities may have changed since the last one."""


def verifying_context(authorities: str | None = None) -> ssl.SSLContext:
    """Certificates checked against the system's authorities; against Mozilla's where it has none.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as everywhere with OpenSSL. `authorities`:
    PEM; then these and no others.

    Raises:
        ssl.SSLError: there is no certificate in `authorities`.
    """
    if authorities is not None:
        context = ssl.create_default_context(cadata=authorities)
    else:
        context = ssl.create_default_context()
        if not context.get_ca_certs() and not context.cert_store_stats()["x509"]:
            context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """A path that has `data` while this is open, for OpenSSL, which takes keys from files only.

    It is in memory, so that no key is written to a disk.
    """
    handle = os.memfd_create("hooklane-tls", os.MFD_CLOEXEC)
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
