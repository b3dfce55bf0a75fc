"""Lists attempts from Kafka: the newest so many that are meant, with the place of each record."""

from typing import NamedTuple

from hooklane.ops.attempts_find import AttemptPlaces, Search, wanted
from hooklane.ops.attempts_view import AttemptPicker, AttemptSelection
from hooklane.ops.log_reader import LogReader, Spans, newest
from hooklane.ops.log_search import searched
from hooklane.ops.log_selection import Newest
from hooklane.ops.output import Row, notice


class Found(NamedTuple):
    """A listed attempt, and where its record is."""

    partition: int
    offset: int
    row: Row


def found_attempts(
    reader: LogReader,
    places: AttemptPlaces,
    selection: AttemptSelection,
    limit: int,
    *,
    everywhere: bool,
) -> list[Found]:
    """The newest so many, oldest first: where the lanes that are meant are known from their
    partitions alone, unless `everywhere` is asked for or nothing is there."""
    found = [] if everywhere else _in_lanes(reader, places, selection, limit)
    if found:
        return found
    search = places.everywhere()
    return listed(reader, places.spans(search, selection), search, selection, limit)


def _in_lanes(
    reader: LogReader, places: AttemptPlaces, selection: AttemptSelection, limit: int
) -> list[Found]:
    """Empty where the lanes are not known, or hold nothing that is meant."""
    search = places.of(selection)
    if search is None:
        return []
    found = listed(reader, places.spans(search, selection), search, selection, limit)
    if found:
        notice(
            f"Read {len(search.partitions)} of {len(places.everywhere().partitions)} partitions, "
            "those of the key's lanes: --all-partitions finds redrives and replays too."
        )
    return found


def listed(
    reader: LogReader, spans: Spans, search: Search, selection: AttemptSelection, limit: int
) -> list[Found]:
    """The newest so many, oldest first; what cannot be read is among them, or told."""
    picker = AttemptPicker(selection)
    found = Newest[tuple[int, int], Found](limit)
    read = _near_the_end(spans, selection, limit)
    for line in searched(reader, read, wanted(search, selection)):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            at_ms, row = picked
            found.add((line.partition, line.offset), at_ms, Found(line.partition, line.offset, row))
    rows = found.oldest_first()
    if found.left_out or read != spans:
        notice(f"Only the newest {limit} are shown: --limit N shows more.")
    if picker.unread:
        notice(f"{picker.unread} records cannot be read by this version and may be meant too.")
    return rows


def _near_the_end(spans: Spans, selection: AttemptSelection, limit: int) -> Spans:
    """Where everything is meant, the newest so many are the last ones of the partitions."""
    all_to_the_end = selection.is_all and selection.window.until_ms is None
    return newest(spans, limit) if all_to_the_end else spans
