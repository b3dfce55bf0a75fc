"""What a subscription document asks of its requests, read once and not at every attempt."""

from dataclasses import dataclass
from typing import Final

from hooklane.delivery.payload import templated_by
from hooklane.delivery.request import Destination, custom_lines
from hooklane.delivery.way import way_of
from hooklane.schemas.plugged import Plugged
from hooklane.schemas.subscription import Subscription
from hooklane.schemas.subscription_references import references
from hooklane.schemas.subscription_values import SecretKind

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What one document asks of its requests. `secrets` are references."""

    document: Subscription
    destination: Destination
    scheme: str | None
    secrets: tuple[str, ...]
    stored: tuple[str, ...] = ()
    """References to secrets that may have to be fetched."""
    body: Plugged | None = None
    signs: Plugged | None = None

    @property
    def takes_time(self) -> bool:
        """Whether its requests cannot be made at once."""
        return bool(self.stored) or self.body is not None or self.signs is not None


class Documents:
    """The documents that requests were made for."""

    def __init__(self) -> None:
        self._known: dict[str, Asked] = {}

    def of(self, document: Subscription) -> Asked:
        """What `document` asks; read anew when it is another one than the last time.

        Raises:
            SetupError: a header that may not be set.
        """
        found = self._known.get(document.id)
        if found is None or found.document is not document:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[document.id] = _read(document)
        return found


def _read(document: Subscription) -> Asked:
    destination = Destination(
        url=document.url,
        mode=document.payload.mode,
        lines=custom_lines(document.headers),
        timeout_s=document.delivery.timeout.seconds,
        connect_timeout_s=document.delivery.connect_timeout.seconds,
        way=way_of(document),
        templated=templated_by(document.payload),
    )
    signing = document.signing
    stored = (one for _, one in references(document) if one.kind is SecretKind.STORE)
    return Asked(
        document,
        destination,
        scheme=None if signing is None else signing.scheme,
        secrets=() if signing is None else tuple(one.written() for one in signing.secrets),
        stored=tuple(one.written() for one in stored),
        body=document.payload.plugged,
        signs=None if signing is None else signing.plugged,
    )
