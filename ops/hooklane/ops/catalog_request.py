"""A sample as the request that would arrive, signed with a secret that everybody may know. Pure."""

import json
from typing import Any, Final

from hooklane.delivery.signing.message import Message
from hooklane.delivery.signing.standard import StandardSigner
from hooklane.ops.catalog_delivery import HEADERS, SIGNATURE
from hooklane.ops.catalog_entry import Entry

SECRET: Final = "whsec_aG9va2xhbmUtY2F0YWxvZy1zYW1wbGUtc2VjcmV0IQ=="  # noqa: S105 - for samples
_ID: Final = "msg_c6ffb3ff9d12b000fd1655e9a592fd5d"
_TIMESTAMP: Final = 1_768_469_400
_SHOWN: Final = ("webhook-id", "webhook-timestamp", SIGNATURE, "ce-", "hooklane-")


def body_of(data: Any) -> str:
    """The data as the samples have it, which is what is signed."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def sample_headers(entry: Entry, data: Any) -> dict[str, str]:
    """The headers of the request for this sample."""
    body = body_of(data).encode()
    signed = StandardSigner([SECRET.encode()]).headers(Message(_ID, _TIMESTAMP, body))
    shown = {one.name: one.example for one in HEADERS if one.name.startswith(_SHOWN)}
    for special in ("hooklane-replay", "ce-subject"):
        shown.pop(special)
    own = {"ce-type": entry.name, **dict(signed)}
    return {"content-type": "application/json", **shown, **own}


def request_of(entry: Entry, data: Any) -> str:
    """The request in text: a line, headers, an empty line, the body."""
    lines = [f"{name}: {value}" for name, value in sample_headers(entry, data).items()]
    return "\n".join(["POST /your/path HTTP/1.1", *lines, "", body_of(data)])
