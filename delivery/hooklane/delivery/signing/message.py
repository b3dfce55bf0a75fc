"""What is signed, and what every scheme must be able to do with it."""

from typing import Protocol

from hooklane.schemas.plugin import Message

__all__ = ["Message", "Signer", "SigningError", "SigningKey", "VerifyingKey"]


class SigningError(ValueError):
    """A secret cannot be used. The text never holds the secret."""


class Signer(Protocol):
    """A scheme with its secrets."""

    def headers(self, message: Message) -> tuple[tuple[str, str], ...]:
        """The headers that carry the signature, names in lower case."""


class SigningKey(Protocol):
    """One key of the Standard Webhooks scheme."""

    def token(self, signed: bytes) -> str:
        """`<version>,<base64 signature>` of the bytes."""


class VerifyingKey(Protocol):
    """What checks tokens of one version."""

    @property
    def version(self) -> str:
        """`v1` or `v1a`."""

    def matches(self, signed: bytes, signature: bytes) -> bool:
        """Whether this key made the signature of the bytes; takes the same time either way."""
