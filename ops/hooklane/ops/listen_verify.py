"""Whether a request is genuine, by the scheme that the listener was told."""

import hmac
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol, assert_never

from hooklane.delivery.signing import SigningError
from hooklane.delivery.signing.verify import Rejected, Verifier
from hooklane.runtime.errors import UsageError


class Scheme(StrEnum):
    STANDARD = "standard"
    GITHUB = "github"


class SignatureCheck(Protocol):
    """Judges a request; `headers` by names in lower case, `now_s` seconds since the epoch."""

    def cause(self, headers: Mapping[str, str], body: bytes, now_s: float) -> str | None:
        """Why it is not genuine, as a word and a sentence; None if it is."""


def signature_check(scheme: Scheme, secrets: Sequence[str]) -> SignatureCheck:
    """The check of a scheme, with any of the secrets.

    Raises:
        UsageError: a secret cannot be one of that scheme.
    """
    given = [secret.encode() for secret in secrets]
    match scheme:
        case Scheme.STANDARD:
            try:
                return _Standard(Verifier(given))
            except SigningError as error:
                raise UsageError(f"--secret cannot be used: {error}.") from error
        case Scheme.GITHUB:
            if not all(given):
                raise UsageError("--secret is empty.")
            return _GitHub(given)
        case _:
            assert_never(scheme)


class _Standard:
    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def cause(self, headers: Mapping[str, str], body: bytes, now_s: float) -> str | None:
        found = self._verifier.verify(headers, body, now_s)
        return f"{found.cause.value}: {found.detail}" if isinstance(found, Rejected) else None


class _GitHub:
    """`X-Hub-Signature-256: sha256=<hex>` of the body, as GitHub documents it."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)

    def cause(self, headers: Mapping[str, str], body: bytes, now_s: float) -> str | None:  # noqa: ARG002
        given = headers.get("x-hub-signature-256")
        if given is None:
            return "missing-header: no x-hub-signature-256"
        if not given.startswith("sha256="):
            return "malformed-signature: x-hub-signature-256 does not begin with sha256="
        signature = given.removeprefix("sha256=").encode("utf-8", "replace")
        for secret in self._secrets:
            if hmac.compare_digest(hmac.digest(secret, body, "sha256").hex().encode(), signature):
                return None
        return "no-match: signed with another secret, or the body was changed on the way"
