"""The receiver's side of Standard Webhooks, saying why a request is not what it claims to be."""

import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hooklane.delivery.signing.keys import verifying_key
from hooklane.delivery.signing.message import VerifyingKey
from hooklane.delivery.signing.standard import signed_content

TOLERANCE_S: Final = 300
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,11}")


class Cause(StrEnum):
    """Why a request was not accepted."""

    MISSING_HEADER = "missing-header"
    MALFORMED_ID = "malformed-id"
    MALFORMED_TIMESTAMP = "malformed-timestamp"
    TOO_OLD = "timestamp-too-old"
    TOO_NEW = "timestamp-too-new"
    MALFORMED_SIGNATURE = "malformed-signature"
    """No token could be read."""
    NO_KNOWN_VERSION = "no-known-version"
    """There are tokens, but none of a version that one of the secrets makes."""
    NO_MATCH = "no-match"
    """Signed with another secret, or the body, id or timestamp was changed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The request is genuine."""

    webhook_id: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """The request is not to be trusted, and why."""

    cause: Cause
    detail: str


class Verifier:
    """Checks `webhook-id`, `webhook-timestamp` and `webhook-signature` against any of the secrets.

    Raises:
        SigningError: (when made) a secret cannot be used.
    """

    def __init__(self, secrets: Iterable[bytes], tolerance_s: int = TOLERANCE_S) -> None:
        self._keys = tuple(map(verifying_key, secrets))
        self._tolerance_s = tolerance_s

    def verify(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Verified | Rejected:
        """Judge a request. `headers`: names in lower case; `now_s`: seconds since the epoch."""
        webhook_id = headers.get("webhook-id")
        stamp = headers.get("webhook-timestamp")
        tokens = headers.get("webhook-signature")
        if not webhook_id or not stamp or not tokens:
            return Rejected(Cause.MISSING_HEADER, _missing(headers))
        if "." in webhook_id or not webhook_id.isascii():
            # With a dot in the id, one signature would fit two different messages.
            return Rejected(Cause.MALFORMED_ID, "webhook-id holds a full stop or is not ASCII")
        if not _TIMESTAMP.fullmatch(stamp):
            return Rejected(
                Cause.MALFORMED_TIMESTAMP, "webhook-timestamp is not a whole number of seconds"
            )
        timestamp = int(stamp)
        age = now_s - timestamp
        if age > self._tolerance_s:
            return Rejected(Cause.TOO_OLD, f"webhook-timestamp is {age:.0f} s old")
        if -age > self._tolerance_s:
            return Rejected(Cause.TOO_NEW, f"webhook-timestamp is {-age:.0f} s ahead")
        rejected = self._match(tokens, signed_content(webhook_id, timestamp, body))
        return Verified(webhook_id, timestamp) if rejected is None else rejected

    def _match(self, tokens: str, signed: bytes) -> Rejected | None:
        found = [token for token in map(_token, tokens.split(" ")) if token is not None]
        if not found:
            return Rejected(
                Cause.MALFORMED_SIGNATURE,
                "webhook-signature holds no token of the form version,base64",
            )
        compared = 0
        for key in self._keys:
            for signature in _of_version(found, key):
                compared += 1
                if key.matches(signed, signature):
                    return None
        if compared:
            return Rejected(
                Cause.NO_MATCH,
                "signed with another secret, or the body, id or timestamp was changed on the way",
            )
        versions = ", ".join(sorted({version for version, _ in found}))
        return Rejected(
            Cause.NO_KNOWN_VERSION, f"the secrets cannot check a signature of version {versions}"
        )


def _missing(headers: Mapping[str, str]) -> str:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return f"no {', '.join(name for name in names if not headers.get(name))}"


def _token(text: str) -> tuple[str, bytes] | None:
    """Version and signature; None for what cannot be read: others beside it still count."""
    version, comma, signature = text.partition(",")
    if not version or not comma or not signature:
        return None
    try:
        return version, binascii.a2b_base64(signature.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _of_version(found: Sequence[tuple[str, bytes]], key: VerifyingKey) -> list[bytes]:
    return [signature for version, signature in found if version == key.version]
