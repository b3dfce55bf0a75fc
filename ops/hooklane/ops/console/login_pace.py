"""How often a wrong token may be tried. Pure: the caller brings the time in seconds."""

from collections import OrderedDict, deque
from typing import Final

TRIES: Final = 5
WITHIN_S: Final = 60.0
_ADDRESSES: Final = 1000


class LoginPace:
    """`TRIES` wrong ones within `WITHIN_S` from one address, and then none until the oldest of them
    is that long ago. Of many addresses the ones that were quiet longest are forgotten, and all of
    them together have ten times as many tries."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=10 * TRIES)

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until it may try; 0 for at once."""
        known = (self._all, self._wrong.get(address))
        full = (one for one in known if one is not None and len(one) == one.maxlen)
        return max([0.0, *(tries[0] + WITHIN_S - now for tries in full)])

    def was_wrong(self, address: str, now: float) -> None:
        """A wrong token came."""
        tries = self._wrong.setdefault(address, deque(maxlen=TRIES))
        tries.append(now)
        self._all.append(now)
        self._wrong.move_to_end(address)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)

    def was_right(self, address: str) -> None:
        """The token came: a person may mistype."""
        self._wrong.pop(address, None)
