"""Reads the audit from Kafka."""

from typing import Final

from hooklane.ops.audit_view import AuditPicker, AuditSelection
from hooklane.ops.log_reader import LogReader, Spans
from hooklane.ops.log_selection import Newest
from hooklane.ops.output import Row, notice

_SKEW_MS: Final = 15 * 60_000
"""A record's time is that of the operator's own clock."""


def audit_spans(reader: LogReader, topic: str, selection: AuditSelection) -> Spans:
    since_ms, until_ms = selection.window.since_ms, selection.window.until_ms
    return reader.between(
        reader.partitions(topic),
        None if since_ms is None else since_ms - _SKEW_MS,
        None if until_ms is None else until_ms + _SKEW_MS,
    )


def listed_audit(
    reader: LogReader, spans: Spans, selection: AuditSelection, limit: int
) -> list[Row]:
    """The newest so many, oldest first."""
    picker, found = AuditPicker(selection), Newest[int, Row](limit)
    for line in reader.read(spans):
        picked = picker.pick(line.key, line.value, line.timestamp_ms)
        if picked is not None:
            found.add(line.offset, *picked)
    rows = found.oldest_first()
    if found.left_out:
        notice(f"Only the newest {limit} are shown: --limit N shows more.")
    if picker.unread:
        notice(f"{picker.unread} records cannot be read by this version and may be meant too.")
    return rows
