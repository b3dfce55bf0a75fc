"""The newest attempts, at hand for lists: a ring of bounded size. Pure but for its lock."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from sys import intern
from threading import Lock
from typing import Final, NamedTuple

from hooklane.schemas.records import DeliveryAttempt

_LONGEST: Final = 300
"""Characters of a text, and bytes of a key, that are kept: a publisher's may be of any length."""


class Seen(NamedTuple):
    """An attempt without what a list does not show, and where its whole record is."""

    partition: int
    offset: int
    attempt: DeliveryAttempt


class RecentAttempts:
    """One thread adds, others look: each answer is of one moment. `most` bounds it."""

    def __init__(self, most: int) -> None:
        self._ring: deque[Seen] = deque(maxlen=most)
        self._lock = Lock()
        self.dropped = 0
        """How many older ones had to go."""

    def __len__(self) -> int:
        return len(self._ring)

    def add(self, partition: int, offset: int, attempt: DeliveryAttempt) -> None:
        seen = Seen(partition, offset, slim(attempt))
        with self._lock:
            self.dropped += len(self._ring) == self._ring.maxlen
            self._ring.append(seen)

    def newest(self, wanted: Callable[[DeliveryAttempt], bool], limit: int) -> list[Seen]:
        """The newest so many of those that are wanted, newest first."""
        with self._lock:
            there = list(self._ring)
        found = (one for one in there if wanted(one.attempt))
        return heapq.nlargest(limit, found, key=lambda one: one.attempt.started_ms)

    def oldest_ms(self) -> int | None:
        """Since when there are some; None while there are none."""
        with self._lock:
            return self._ring[0].attempt.started_ms if self._ring else None


def slim(attempt: DeliveryAttempt) -> DeliveryAttempt:
    """Without the response, texts cut, what repeats held once."""
    return replace(
        attempt,
        response=None,
        response_headers=(),
        key=None if attempt.key is None else attempt.key[:_LONGEST],
        event_id=attempt.event_id[:_LONGEST],
        detail=intern(attempt.detail[:_LONGEST]),
        event_type=intern(attempt.event_type[:_LONGEST]),
        subscription=intern(attempt.subscription),
        uid=intern(attempt.uid),
        topic=intern(attempt.topic),
        topic_id=intern(attempt.topic_id),
        service=intern(attempt.service),
        reason=intern(attempt.reason),
        address=None if attempt.address is None else intern(attempt.address),
    )


def cut_key(key: bytes) -> bytes:
    """A key as it is kept here."""
    return key[:_LONGEST]
