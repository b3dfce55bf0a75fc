"""What a listener answers: it accepts what is genuine, unless it was told to fail."""

from dataclasses import dataclass
from http import HTTPStatus

from hooklane.ops.listen_request import Arrived

ACCEPTED = int(HTTPStatus.NO_CONTENT)
NOT_GENUINE = int(HTTPStatus.UNAUTHORIZED)


@dataclass(slots=True)
class FailurePlan:
    """Which genuine requests to fail, and with which status.

    `first`: only the first so many; `keys`: only those of these keys; with both, the first so
    many of these keys. With neither every one. `status` None: none at all.
    """

    status: int | None
    first: int | None = None
    keys: frozenset[str] = frozenset()
    _failed: int = 0

    def answer(self, request: Arrived) -> int:
        """The status for a genuine request."""
        if self.status is None:
            return ACCEPTED
        if self.keys and request.key not in self.keys:
            return ACCEPTED
        if self.first is not None:
            if self._failed >= self.first:
                return ACCEPTED
            self._failed += 1
        return self.status
