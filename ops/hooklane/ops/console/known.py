"""A value that is read anew when somebody asks for it and it has grown old."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Aged(NamedTuple, Generic[T]):
    """A value, and how many seconds ago it was read."""

    value: T
    age_s: float


class Known(Generic[T]):
    """For any thread. Who comes while another one reads gets what there was before, or waits where
    there is nothing.

    A value lasts `fresh_s`, or ten times as long as its reading took: a long backlog must not be
    read by every look at a page.
    """

    def __init__(
        self,
        read: Callable[[], T],
        fresh_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._reading = Lock()
        self._held: _Held[T] | None = None
        self._deeds = 0

    def now(self) -> Aged[T]:
        """Raises what the reading raises; then nothing is kept, and the next one reads again."""
        held = self._held
        if held is not None and not self._is_old(held):
            return self._aged(held)
        if held is not None and not self._reading.acquire(blocking=False):
            return self._aged(held)
        if held is None:
            self._reading.acquire()
        try:
            held = self._held
            return self._aged(self._read_anew() if held is None or self._is_old(held) else held)
        finally:
            self._reading.release()

    def forget(self) -> None:
        """Something was done: the next look reads, also where one is being read now."""
        self._deeds += 1
        self._held = None

    def _read_anew(self) -> "_Held[T]":
        deeds, began = self._deeds, self._monotonic()
        try:
            value = self._read()
        except BaseException:
            self._held = None
            raise
        ended = self._monotonic()
        held = _Held(value, ended, max(self._fresh_s, 10 * (ended - began)))
        if deeds == self._deeds:
            self._held = held
        return held

    def _is_old(self, held: "_Held[T]") -> bool:
        return self._monotonic() - held.at >= held.lasts_s

    def _aged(self, held: "_Held[T]") -> Aged[T]:
        return Aged(held.value, self._monotonic() - held.at)


class _Held(NamedTuple, Generic[T]):
    value: T
    at: float
    lasts_s: float
