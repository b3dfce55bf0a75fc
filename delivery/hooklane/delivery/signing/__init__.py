"""How a request is signed, by scheme; and how a receiver verifies the standard one."""

from hooklane.delivery.signing.scheme import SCHEMES, Message, Signer, SigningError, signer

__all__ = ["SCHEMES", "Message", "Signer", "SigningError", "signer"]
