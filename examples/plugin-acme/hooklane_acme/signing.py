"""`signing: {scheme: acme, secrets: [...], options: {header: x-our-signature}}`."""

import hmac
from collections.abc import Sequence

from hooklane.schemas.plugin import Headers, Message, Options


class Acme:
    """HMAC-SHA512 of `timestamp.body` in hexadecimal, one for each secret, so that one can be
    rotated."""

    api = 1

    def __init__(self, options: Options) -> None:
        unknown = sorted(set(options) - {"header"})
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: the only option is header")
        self.header = str(options.get("header", "x-acme-signature"))

    def sign(self, message: Message, secrets: Sequence[bytes]) -> Headers:
        signed = b"%d.%b" % (message.timestamp, message.body)
        found = [hmac.digest(secret, signed, "sha512").hex() for secret in secrets]
        return [(self.header, ",".join(found))]
