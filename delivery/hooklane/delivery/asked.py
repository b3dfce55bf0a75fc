"""What a subscription document asks of its requests, read once and not at every attempt."""

from dataclasses import dataclass
from typing import Final

from hooklane.delivery.payload import templated_by
from hooklane.delivery.request import Destination, custom_lines
from hooklane.delivery.way import way_of
from hooklane.schemas.subscription import Subscription

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What one document asks of its requests. `secrets` are references."""

    document: Subscription
    destination: Destination
    scheme: str | None
    secrets: tuple[str, ...]


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
    if document.signing is None:
        return Asked(document, destination, None, ())
    references = tuple(one.written() for one in document.signing.secrets)
    return Asked(document, destination, document.signing.scheme, references)
