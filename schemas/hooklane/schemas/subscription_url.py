"""URLs and custom HTTP headers of a subscription: what can be judged without the network.

Messages never quote a URL: it may carry a password or a token.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import PlainValidator, ValidationInfo, WithJsonSchema

from hooklane.schemas.subscription_faults import quoted
from hooklane.schemas.subscription_values import policy_of

LONGEST_URL = 2048
MOST_HEADERS = 32
LONGEST_HEADER_VALUE = 4096

_VISIBLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# RFC 9110 section 5.6.2: a token.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
# RFC 9110 section 5.5, without C1 control characters.
_FIELD_VALUE = re.compile(r"[\t -~\xa0-\xff]*")

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    }
)
_OURS = frozenset(
    {
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "expect",
        "user-agent",
        "traceparent",
        "tracestate",
        "x-hub-signature",
        "x-hub-signature-256",
        "stripe-signature",
        "x-shopify-hmac-sha256",
        "x-slack-signature",
        "x-slack-request-timestamp",
    }
)
_OUR_PREFIXES = ("webhook-", "hooklane-", "ce-")


def _url(value: object, info: ValidationInfo) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a URL, such as https://hooks.example.com/invoices")
    if len(value) > LONGEST_URL:
        raise ValueError(f"is too long: at most {LONGEST_URL} characters")
    if not _VISIBLE.fullmatch(value) or "\\" in value:
        raise ValueError(
            "must be ASCII without spaces and backslashes: percent-encode the path, write the"
            " host in its xn-- form"
        )
    if "#" in value:
        raise ValueError("must not have a fragment (#...): it is never sent")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must have a host and, if any, a port from 1 to 65535") from None
    _check_scheme(parts, info)
    _check_place(parts)
    return value


def _check_scheme(parts: SplitResult, info: ValidationInfo) -> None:
    if parts.scheme == "http":
        if not policy_of(info).allow_http:
            raise ValueError(
                "must begin with https:// (http:// only where HOOKLANE_DELIVERY__ALLOW_HTTP"
                " allows it)"
            )
    elif parts.scheme != "https":
        raise ValueError("must begin with https://")


def _check_place(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or password: write them under auth.basic")
    if parts.netloc.endswith(":") or parts.port == 0:
        raise ValueError("must have a port from 1 to 65535 after the colon, or no colon")
    if not _is_host(parts.netloc, parts.hostname or ""):
        raise ValueError("must have a valid host name or address after https://")


def _is_host(netloc: str, host: str) -> bool:
    if not netloc.startswith("["):
        labels = host.removesuffix(".").split(".")
        return len(host) <= 254 and all(map(_LABEL.fullmatch, labels))
    try:
        return "%" not in host and ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(
            f"{quoted(name)} is not a header name: write letters, digits and -, at most 128"
        )
    plain = name.lower()
    if plain in _HOP_BY_HOP or plain in _OURS or plain.startswith(_OUR_PREFIXES):
        raise ValueError(f"{quoted(name)} is set by Hooklane or by HTTP itself: take it out")
    return name


def _header_value(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text (put it in quotes)")  # noqa: TRY004 - pydantic's way
    if len(value) > LONGEST_HEADER_VALUE:
        raise ValueError(f"is too long: at most {LONGEST_HEADER_VALUE} characters")
    if not _FIELD_VALUE.fullmatch(value) or value != value.strip():
        raise ValueError(
            "must be Latin-1 text without line breaks and control characters, and without"
            " space at either end"
        )
    return value


def check_header_names(headers: dict[str, str]) -> dict[str, str]:
    """Names that cannot stand together or belong elsewhere.

    Raises:
        ValueError: twice the same name, or credentials, which belong under `auth`.
    """
    seen: set[str] = set()
    for name in headers:
        plain = name.lower()
        if plain == "authorization":
            raise ValueError(f"{quoted(name)} is a credential: write it under auth")
        if plain in seen:
            raise ValueError(f"{quoted(name)} is there twice: header names ignore case")
        seen.add(plain)
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"has too many entries: at most {MOST_HEADERS}")
    return headers


Url = Annotated[str, PlainValidator(_url), WithJsonSchema({"type": "string", "format": "uri"})]
HeaderName = Annotated[str, PlainValidator(_header_name), WithJsonSchema({"type": "string"})]
HeaderValue = Annotated[str, PlainValidator(_header_value), WithJsonSchema({"type": "string"})]
