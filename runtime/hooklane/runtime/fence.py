"""Self-fencing: whether this process may still believe that its partitions are its own. Pure."""

SETTLES_S = 0.5
"""How long a client needs to find out that it was taken for dead."""


class Fence:
    """Open while the last poll returned less than a third of the session timeout ago.

    A process that slept (SIGSTOP, a frozen machine, a stuck poll thread) may have lost its
    partitions without having heard of it. So after such a gap the fence stays closed for
    `settle_s` more, in which the client finds out.
    """

    def __init__(self, session_timeout_s: float, settle_s: float, now: float) -> None:
        self._limit_s = session_timeout_s / 3
        self._settle_s = settle_s
        self._last_poll = now
        self._closed_until = now

    def polled(self, at: float) -> None:
        """A poll returned `at` this monotonic second."""
        if at - self._last_poll > self._limit_s:
            self._closed_until = at + self._settle_s
        self._last_poll = at

    def is_open(self, now: float) -> bool:
        """Whether an attempt or a redirect may start at `now`."""
        return now - self._last_poll < self._limit_s and now >= self._closed_until
