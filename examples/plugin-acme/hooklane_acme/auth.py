"""`auth: {acme: {secrets: {key: "vault:hooks/acme#key"}, options: {id: billing}}}`."""

import hmac
from collections.abc import Mapping

from hooklane.schemas.plugin import Headers, Options, OutgoingRequest, PluginFailure


class Dated:
    """`Authorization: Acme <id>:<HMAC-SHA256 of the method, the URL and the attempt's time>`."""

    api = 1

    def __init__(self, options: Options) -> None:
        name = options.get("id")
        if not isinstance(name, str) or not name.isalnum():
            raise ValueError("id must be the client's name, of letters and digits")
        self.name = name

    def headers(self, request: OutgoingRequest, secrets: Mapping[str, bytes]) -> Headers:
        if "key" not in secrets:
            raise PluginFailure("`secrets` has no `key`")
        at = dict(request.headers)["webhook-timestamp"]
        signed = f"{request.method} {request.url} {at}".encode()
        proof = hmac.digest(secrets["key"], signed, "sha256").hex()
        return [("authorization", f"Acme {self.name}:{proof}")]
