"""Reads dead letters from Kafka, for a listing and for the one that somebody names."""

from typing import Final

from hooklane.ops.dead_letters_view import (
    LetterId,
    LetterPicker,
    LetterSelection,
    NoSuchLetterError,
    letter_id,
    mark_id,
    mark_of,
    unread_id,
)
from hooklane.ops.letter_state import LetterState
from hooklane.ops.log_reader import Line, LogReader, Spans, newest
from hooklane.ops.log_selection import Newest
from hooklane.ops.output import Row, notice
from hooklane.runtime.errors import UsageError
from hooklane.schemas.codec import DEAD_LETTERS, CodecError
from hooklane.schemas.lane import LaneId, lane_partition
from hooklane.schemas.records_operator import LetterMark

_SKEW_MS: Final = 15 * 60_000
"""A record's time is that of its writing, a letter's that of the decision."""
_NAMED_AT_MOST: Final = 5


def listed_letters(
    reader: LogReader, topic: str, selection: LetterSelection, wanted: LetterState, limit: int
) -> list[Row]:
    """The newest so many, oldest first; what cannot be read is among them, or told."""
    times, partitions = selection.window, reader.partitions(topic)
    since_ms = None if times.since_ms is None else times.since_ms - _SKEW_MS
    # Marks stand behind their letters, so it goes to the end whatever --until says.
    spans = reader.between(partitions, since_ms, None)
    # Where everything is meant, the newest so many are the last ones of the partitions.
    read = newest(spans, limit) if selection.is_all and times.until_ms is None else spans
    picker = LetterPicker(selection, wanted)
    rows, cut = _picked(reader, read, picker, limit)
    for _ in range(2):
        if len(rows) == limit or not (cut or read != spans):
            break
        # Among the newest were some that are not wanted, by marks behind them. After a reading of
        # everything all marks are known, and a last one finds the right ones.
        read, picker = spans, LetterPicker(selection, wanted, picker.marks)
        rows, cut = _picked(reader, read, picker, limit)
    if cut or read != spans:
        notice(f"Only the newest {limit} are shown: --limit N shows more.")
    if picker.unread:
        notice(f"{picker.unread} records cannot be read by this version and may be meant too.")
    return rows


def _picked(
    reader: LogReader, spans: Spans, picker: LetterPicker, limit: int
) -> tuple[list[Row], bool]:
    """The newest so many of these spans, and whether others were left out."""
    found = Newest[str, Row](limit)
    for line in reader.read(spans):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            found.add(_name(picked[1], line), *picked)
    rows = found.oldest_first()
    return picker.with_states(rows), found.left_out


def the_letter(
    reader: LogReader, topic: str, wanted: LetterId, given: str
) -> tuple[Line, LetterMark | None]:
    """The newest record of the one letter that is meant, and what became of it.

    Raises:
        UsageError: several are.
        NoSuchLetterError: none is.
    """
    partitions = reader.partitions(topic)
    if wanted.is_whole_lane:
        partitions = [partitions[lane_partition(LaneId(wanted.lane), len(partitions))]]
    found: dict[str, Line] = {}
    marks: dict[str, LetterMark] = {}
    for line in reader.read(reader.whole(partitions)):
        if line.key is None or line.value is None or not line.key.startswith(wanted.lane.encode()):
            continue
        if (mark := mark_of(line.value)) is not None:
            marks[mark_id(mark)] = mark
            continue
        name = _id_of(line)
        # Of many letters of one lane only so many are kept as the sentence names.
        if wanted.names(name) and (name in found or len(found) <= _NAMED_AT_MOST):
            found[name] = line
    if not found:
        raise NoSuchLetterError(given)
    if len(found) > 1:
        names = ", ".join(sorted(found)[:_NAMED_AT_MOST])
        raise UsageError(f"{given} may be one of several dead letters, such as {names}: name one.")
    name, line = next(iter(found.items()))
    return line, marks.get(name)


def _id_of(line: Line) -> str:
    try:
        return letter_id(DEAD_LETTERS.decode(line.value or b""))
    except CodecError:
        return unread_id(line.key)


def _name(row: Row, line: Line) -> str:
    """What makes a listed letter the same one: its id; a record that cannot be read is its own."""
    if row["unreadable"] is None:
        return str(row["id"])
    return f"{line.partition}/{line.offset}"
