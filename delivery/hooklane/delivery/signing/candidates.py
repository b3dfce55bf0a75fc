"""Keys that may have made a signature: secrets as their scheme takes them, or others do. Pure."""

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from hooklane.delivery.signing.claims import Claim, decoded_secret
from hooklane.delivery.signing.keys import PRIVATE, PUBLIC, SHARED, verifying_key
from hooklane.delivery.signing.message import SigningError, VerifyingKey

_PREFIX = SHARED.encode()


class Key(Protocol):
    def fits(self, claim: Claim, content: bytes) -> bool:
        """Whether it made one of the claim's signatures of this content."""


@dataclass(frozen=True, slots=True)
class TextKey:
    """HMAC-SHA256 with bytes as they are."""

    secret: bytes

    def fits(self, claim: Claim, content: bytes) -> bool:
        digest = hmac.digest(self.secret, content, "sha256")
        return any(hmac.compare_digest(digest, one) for one in claim.shared)


@dataclass(frozen=True, slots=True)
class StandardKey:
    """As Standard Webhooks has it."""

    key: VerifyingKey

    def fits(self, claim: Claim, content: bytes) -> bool:
        found = claim.signed if self.key.version == "v1a" else claim.shared
        return any(self.key.matches(content, one) for one in found)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`place`: which of the secrets, from 1; `form`: how it was taken, in words; empty for the
    scheme's own way. `prefixed`: the prefix that is not there was put before it."""

    place: int
    key: Key
    form: str = ""
    prefixed: bool = False


def own_keys(scheme: str, secrets: Sequence[bytes]) -> Iterator[Candidate]:
    """The secrets as the scheme takes them; those that it cannot take are left out."""
    for place, secret in enumerate(secrets, 1):
        if scheme != "standard":
            yield Candidate(place, TextKey(secret))
            continue
        try:
            yield Candidate(place, StandardKey(verifying_key(secret)))
        except SigningError:
            continue


def other_keys(scheme: str, secrets: Sequence[bytes]) -> Iterator[Candidate]:
    """The same secrets as somebody may take them by mistake."""
    for place, secret in enumerate(secrets, 1):
        bare = secret.removeprefix(_PREFIX)
        if bare == secret:
            yield Candidate(
                place, TextKey(_PREFIX + bare), "its text with whsec_ before it", prefixed=True
            )
        if scheme == "standard":
            yield Candidate(place, TextKey(secret), "its text, not the bytes of its base64")
        yield Candidate(place, TextKey(bare), "its text without whsec_")
        decoded = decoded_secret(bare.decode("latin-1"))
        if decoded is not None:
            yield Candidate(place, TextKey(decoded), "the bytes of its base64, not its text")


def fault(secrets: Sequence[bytes]) -> str | None:
    """Why none of them can be a secret of Standard Webhooks; None if one can."""
    said = []
    for secret in secrets:
        try:
            verifying_key(secret)
        except SigningError as error:
            said.append(str(error))
        else:
            return None
    return said[0] if said else None


def versions(secrets: Sequence[bytes]) -> frozenset[str]:
    """The versions of Standard Webhooks' signatures that the secrets can check."""
    asymmetric = (PRIVATE.encode(), PUBLIC.encode())
    return frozenset("v1a" if secret.startswith(asymmetric) else "v1" for secret in secrets)
