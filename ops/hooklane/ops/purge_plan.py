"""What Kafka may delete once dead letters are purged. Pure.

    offset 3 purged, 4 mark, 5 purged    may go
    offset 6 open                        stays
    offset 7 purged                      is hidden, and goes when 6 has gone

Kafka deletes from the beginning of a partition only. A mark stands behind its letter, so one that
is in the part that goes is of a letter that goes too.
"""

from collections.abc import Mapping

from hooklane.ops.letter_index import LetterName
from hooklane.schemas.codec import DEAD_LETTERS, LETTER_MARKS, CodecError
from hooklane.schemas.records_operator import Fate, LetterMark


class PrefixScan:
    """One partition from its first offset on, record by record; `marks` are all that there are."""

    def __init__(self, first: int, marks: Mapping[LetterName, LetterMark]) -> None:
        self._marks = marks
        self.end = first
        """One past the last record that may go."""

    def take(self, offset: int, value: bytes | None) -> bool:
        """Whether this record may go too; after one that may not there is no more to look at."""
        if value is not None and not LETTER_MARKS.wrote(value):
            try:
                letter = DEAD_LETTERS.decode(value)
            except CodecError:
                return False
            mark = self._marks.get((letter.lane, letter.sequence))
            if mark is None or mark.fate is not Fate.PURGED:
                return False
        self.end = offset + 1
        return True
