"""Which dead letters are meant, and what became of them, from one reading of their topic. Pure.

    offset 3  letter a:7        open
    offset 5  letter a:9        open
    offset 8  mark a:7 redriven a:7 is not open any more
    offset 9  letter a:7        the same letter once more, after a crash: still redriven

A mark stands behind its letter, so a reading has to go on to the end. What is kept of a letter is
as much as decides about it; its payload is read again when it is its turn.
"""

from collections.abc import Iterator
from sys import intern
from typing import NamedTuple, Protocol

from hooklane.schemas.codec import (
    DEAD_LETTERS,
    LETTER_MARKS,
    CodecError,
    UnknownSchemaError,
)
from hooklane.schemas.lane import LaneId
from hooklane.schemas.records import DeadLetter
from hooklane.schemas.records_operator import LetterMark

LetterName = tuple[str, int]
"""Lane and sequence: the same for a delivery however often it was given up."""


class Chosen(Protocol):
    """Which letters are meant."""

    def may_hold(self, value: bytes) -> bool: ...
    def holds(self, letter: DeadLetter) -> bool: ...


class LetterFacts(NamedTuple):
    """A letter without its payload, and where its newest record is.

    `at_ms` is that record's timestamp, `size` its bytes, `has_event` whether it has a payload.
    """

    partition: int
    offset: int
    at_ms: int
    lane: LaneId
    sequence: int
    subscription: str | None
    uid: str
    run: str
    group: str
    topic_id: str
    event_partition: int
    key: bytes | None
    size: int
    has_event: bool

    @property
    def name(self) -> LetterName:
        return self.lane, self.sequence


class LetterIndex:
    """Told of every record, of each partition in its order.

    `unread` counts records that cannot be read. Letters of their lanes are in doubt: a newer
    version may have marked them.
    """

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._letters: dict[LetterName, LetterFacts] = {}
        self._doubtful: set[bytes] = set()
        self.marks: dict[LetterName, LetterMark] = {}
        self.unread = 0

    def take(
        self, partition: int, offset: int, at_ms: int, key: bytes | None, value: bytes | None
    ) -> None:
        """One record."""
        if value is None:
            return
        try:
            if LETTER_MARKS.wrote(value):
                mark = LETTER_MARKS.decode(value)
                self.marks[mark.lane, mark.sequence] = mark
            elif not DEAD_LETTERS.wrote(value):
                raise UnknownSchemaError
            elif self._chosen.may_hold(value):
                self._letter(partition, offset, at_ms, len(value), DEAD_LETTERS.decode(value))
        except CodecError:
            self.unread += 1
            self._doubtful.add(key or b"")

    def letters(self) -> Iterator[LetterFacts]:
        """Those that are meant, whatever became of them."""
        return iter(self._letters.values())

    def is_doubtful(self, letter: LetterFacts) -> bool:
        return letter.lane.encode() in self._doubtful

    def _letter(
        self, partition: int, offset: int, at_ms: int, size: int, letter: DeadLetter
    ) -> None:
        if not self._chosen.holds(letter):
            return
        self._letters[letter.lane, letter.sequence] = LetterFacts(
            partition,
            offset,
            at_ms,
            letter.lane,
            letter.sequence,
            None if letter.subscription is None else intern(letter.subscription),
            # A million letters have few subscriptions and topics.
            intern(letter.uid),
            intern(letter.run),
            intern(letter.group),
            intern(letter.topic_id),
            letter.partition,
            letter.key,
            size,
            letter.event is not None,
        )
