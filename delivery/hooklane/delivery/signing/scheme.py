"""The registry of signing schemes: the words of `signing.scheme`."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from hooklane.delivery.signing.branded import (
    GitHubSigner,
    ShopifySigner,
    SlackSigner,
    StripeSigner,
)
from hooklane.delivery.signing.message import Message, Signer, SigningError
from hooklane.delivery.signing.standard import StandardSigner

__all__ = ["SCHEMES", "Message", "Signer", "SigningError", "signer"]

SCHEMES: Final[Mapping[str, Callable[[Sequence[bytes]], Signer]]] = MappingProxyType(
    {
        "standard": StandardSigner,
        "github": GitHubSigner,
        "stripe": StripeSigner,
        "shopify": ShopifySigner,
        "slack": SlackSigner,
    }
)


@lru_cache(maxsize=1024)
def signer(scheme: str, secrets: tuple[bytes, ...]) -> Signer:
    """A scheme with its secrets, the newest first. Made once for as long as they stay the same.

    Raises:
        SigningError: no such scheme, or a secret that the scheme cannot use.
    """
    build = SCHEMES.get(scheme)
    if build is None:
        raise SigningError(f"{scheme!r} is no signing scheme; use one of {', '.join(SCHEMES)}")
    return build(secrets)
