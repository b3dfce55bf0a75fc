"""The TLS that receivers are spoken to with."""

import ssl

import certifi


def verifying_context() -> ssl.SSLContext:
    """Certificates checked against the system's authorities; against Mozilla's where it has none.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` name others, as everywhere with OpenSSL.
    """
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not context.cert_store_stats()["x509"]:
        context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
