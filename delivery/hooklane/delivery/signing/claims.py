"""What a signed request claims, by scheme: id, time and signatures, from its headers. Pure."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hooklane.delivery.signing.standard import signed_content

Headers = Mapping[str, str]
"""By names in lower case."""

_TIMESTAMP: Final = re.compile(r"0|[1-9][0-9]{0,11}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


class ClaimError(Exception):
    """The headers cannot be read; `missing`: one is not there. The text says which, in words."""

    def __init__(self, said: str, *, missing: bool = False) -> None:
        super().__init__(said)
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Claim:
    """`timestamp`: seconds since the epoch, where the scheme signs one; `shared`: HMAC-SHA256
    digests; `signed`: ed25519 signatures."""

    webhook_id: str
    timestamp: int | None
    shared: tuple[bytes, ...]
    signed: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimScheme:
    """`read` takes a claim from headers; `content` gives what is signed."""

    read: Callable[[Headers], Claim]
    content: Callable[[str, int, bytes], bytes]
    signs_id: bool = False


def _standard(headers: Headers) -> Claim:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    webhook_id, stamp, tokens = _required(headers, names)
    pairs = [token.split(",") for token in tokens.split(" ")]
    found = [(pair[0], _base64(pair[1])) for pair in pairs if len(pair) == 2 and pair[0]]
    shared = tuple(one for version, one in found if version == "v1" and one is not None)
    signed = tuple(one for version, one in found if version == "v1a" and one is not None)
    if not shared and not signed:
        raise ClaimError("webhook-signature holds no token such as v1,<base64>")
    if "." in webhook_id:
        raise ClaimError("webhook-id holds a full stop")
    return Claim(webhook_id, _seconds("webhook-timestamp", stamp), shared, signed)


def _github(headers: Headers) -> Claim:
    (given,) = _required(headers, ("x-hub-signature-256",))
    if not given.startswith("sha256="):
        raise ClaimError("x-hub-signature-256 does not begin with sha256=")
    digest = _from_hex("x-hub-signature-256", given.removeprefix("sha256="))
    return Claim(headers.get("webhook-id", ""), None, (digest,))


def _stripe(headers: Headers) -> Claim:
    (given,) = _required(headers, ("stripe-signature",))
    parts = [part.partition("=") for part in given.split(",")]
    stamp = next((value for name, _, value in parts if name.strip() == "t"), "")
    found = [value for name, _, value in parts if name.strip() == "v1"]
    if not found:
        raise ClaimError("stripe-signature holds no v1=<hex>")
    digests = tuple(_from_hex("stripe-signature", value) for value in found)
    timestamp = _seconds("the t of stripe-signature", stamp)
    return Claim(headers.get("webhook-id", ""), timestamp, digests)


def _shopify(headers: Headers) -> Claim:
    (given,) = _required(headers, ("x-shopify-hmac-sha256",))
    digest = _base64(given)
    if digest is None:
        raise ClaimError("x-shopify-hmac-sha256 is not base64")
    return Claim(headers.get("webhook-id", ""), None, (digest,))


def _slack(headers: Headers) -> Claim:
    names = ("x-slack-request-timestamp", "x-slack-signature")
    stamp, given = _required(headers, names)
    if not given.startswith("v0="):
        raise ClaimError("x-slack-signature does not begin with v0=")
    digest = _from_hex("x-slack-signature", given.removeprefix("v0="))
    timestamp = _seconds("x-slack-request-timestamp", stamp)
    return Claim(headers.get("webhook-id", ""), timestamp, (digest,))


CLAIMS: Final[Mapping[str, ClaimScheme]] = MappingProxyType(
    {
        "standard": ClaimScheme(_standard, signed_content, signs_id=True),
        "github": ClaimScheme(_github, lambda _id, _at, body: body),
        "stripe": ClaimScheme(_stripe, lambda _id, at, body: b"%d.%b" % (at, body)),
        "shopify": ClaimScheme(_shopify, lambda _id, _at, body: body),
        "slack": ClaimScheme(_slack, lambda _id, at, body: b"v0:%d:%b" % (at, body)),
    }
)
"""By the words of `signing.scheme`."""


def _required(headers: Headers, names: tuple[str, ...]) -> list[str]:
    missing = [name for name in names if not headers.get(name)]
    if missing:
        raise ClaimError(f"no {', '.join(missing)}", missing=True)
    return [headers[name].strip() for name in names]


def _seconds(name: str, stamp: str) -> int:
    if not _TIMESTAMP.fullmatch(stamp):
        raise ClaimError(f"{name} is not a whole number of seconds")
    return int(stamp)


def _base64(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True) or None
    except (binascii.Error, UnicodeEncodeError):
        return None


def _from_hex(name: str, text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise ClaimError(f"{name} holds no 64 hexadecimal digits")
    return bytes.fromhex(text)


def decoded_secret(text: str) -> bytes | None:
    """The bytes that a secret's base64 stands for; None if it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None
