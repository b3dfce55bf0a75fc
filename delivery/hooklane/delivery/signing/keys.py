"""Standard Webhooks secrets: `whsec_` (shared), `whsk_` (private) and `whpk_` (public)."""

import base64
import binascii
import hmac
import re
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hooklane.delivery.signing.message import SigningError, SigningKey, VerifyingKey

SHARED: Final = "whsec_"
PRIVATE: Final = "whsk_"
PUBLIC: Final = "whpk_"
_LEAST_BYTES: Final = 24
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


class SharedKey:
    """HMAC-SHA256, token version `v1`."""

    version = "v1"

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise SigningError("the signing secret is empty; make one with `secrets generate`")
        if len(secret) < _LEAST_BYTES:
            raise SigningError(
                f"the signing secret has {len(secret)} bytes, Standard Webhooks asks for at least "
                f"{_LEAST_BYTES}; make one with `secrets generate`"
            )
        self._secret = secret

    def token(self, signed: bytes) -> str:
        digest = hmac.digest(self._secret, signed, "sha256")
        return "v1," + binascii.b2a_base64(digest, newline=False).decode()

    def matches(self, signed: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(self._secret, signed, "sha256"), signature)


class PrivateKey:
    """ed25519, token version `v1a`: a seed of 32 bytes, alone or followed by the public key."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) not in {32, 64}:
            raise SigningError("the whsk_ secret is not an ed25519 key of 32 or 64 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(secret[:32])
        if secret[32:] and secret[32:] != self._key.public_key().public_bytes_raw():
            raise SigningError("the whsk_ secret's public half does not belong to its private half")

    def token(self, signed: bytes) -> str:
        return "v1a," + base64.b64encode(self._key.sign(signed)).decode()

    def public(self) -> "PublicKey":
        return PublicKey(self._key.public_key().public_bytes_raw())


class PublicKey:
    """What verifies `v1a` tokens."""

    version = "v1a"

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise SigningError("the whpk_ key is not an ed25519 public key of 32 bytes")
        self._key = Ed25519PublicKey.from_public_bytes(key)

    def matches(self, signed: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


def signing_key(secret: bytes) -> SigningKey:
    """A key to sign with, from a secret as it is written; without a prefix it is a shared one.

    Raises:
        SigningError: not base64, too short, or of a kind that cannot sign.
    """
    prefix, key = _split(secret)
    match prefix:
        case "whsk_":
            return PrivateKey(key)
        case "whpk_":
            raise SigningError("a whpk_ key is a public one: it verifies, it cannot sign")
        case _:
            return SharedKey(key)


def verifying_key(secret: bytes) -> VerifyingKey:
    """A key to verify with: a shared secret, a public key, or a private one (its public half).

    Raises:
        SigningError: as `signing_key`.
    """
    prefix, key = _split(secret)
    match prefix:
        case "whsk_":
            return PrivateKey(key).public()
        case "whpk_":
            return PublicKey(key)
        case _:
            return SharedKey(key)


def _split(secret: bytes) -> tuple[str, bytes]:
    text = secret.decode("latin-1").strip()
    prefix = next((one for one in (SHARED, PRIVATE, PUBLIC) if text.startswith(one)), "")
    encoded = text[len(prefix) :]
    bare = encoded.rstrip("=")
    if not _BASE64.fullmatch(encoded) or len(bare) % 4 == 1:
        raise SigningError("the signing secret is not base64; make one with `secrets generate`")
    return prefix, base64.b64decode(bare + "=" * (-len(bare) % 4))
