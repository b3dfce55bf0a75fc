"""Stands for circuits and rate limits, as the gates ask them."""

from collections.abc import Callable

from hooklane.delivery.circuit import Permit
from hooklane.schemas.subscription import Subscription


class OpenTo:
    """Refuses the URLs that `refused` names. `waits`: seconds, by subscription."""

    def __init__(self, refused: Callable[[str], bool] = lambda _: False) -> None:
        self._refused = refused
        self.waits: dict[str, float] = {}

    def refuses(self, url: str) -> bool:
        return self._refused(url)

    def wait_s(self, document: Subscription, ahead: int = 0) -> float:
        return self.waits.get(document.id, 0.0)

    def begins(self, document: Subscription) -> Permit:
        return Permit.REFUSED if self._refused(document.url) else Permit.FREE

    def starts(self, document: Subscription) -> None:
        pass
