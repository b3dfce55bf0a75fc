"""What is wrong with a broker's certificate: librdkafka only says that it could not be verified."""

import socket
import ssl


def certificate_fault(server: str, authorities: str | None, timeout_s: float) -> str | None:
    """In OpenSSL's words; None where it is good, or nobody there speaks TLS.

    `server`: host:port; `authorities`: a file of them (PEM), None for this host's.
    """
    host, _, port = server.strip().rpartition(":")
    name = host.strip("[]")
    try:
        context = ssl.create_default_context(cafile=authorities)
        with (
            socket.create_connection((name, int(port)), timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=name),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError:
        return None
