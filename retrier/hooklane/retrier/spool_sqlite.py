"""The spool in a SQLite file: memory stays small however long the backlog is.

What each table is for stands in `spool_sqlite_schema`.
"""

import json
import zlib
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from hooklane.retrier.spool import Checkpoint, OwedRelease, Spool, StrayTicket, Waiting
from hooklane.retrier.spool_sqlite_due import DueTimes
from hooklane.retrier.spool_sqlite_file import Batch, Row, SpoolFile
from hooklane.retrier.standing import Standing, TicketPlace
from hooklane.schemas.lane import LaneId

_WAITING: Final = """
    SELECT lane, sequence, partition, subscription, timestamp_ms, attempts, nudge, due_ms, halted,
        tier, ticket_offset, seal, value, value_seal
    FROM task
"""
_RECORD: Final = -2
"""Where its record stands in such a row."""
_GET: Final = _WAITING + "WHERE lane = ? AND sequence = ?"
_FIRST: Final = _WAITING + "WHERE lane = ? ORDER BY sequence LIMIT 1"
_FOLLOWING: Final = _WAITING + "WHERE lane = ? AND sequence > ? ORDER BY sequence"
_HIGHEST: Final = "SELECT max(sequence) FROM task WHERE lane = ?"
_ADD: Final = """
    INSERT INTO task (head, lane, sequence, partition, subscription, timestamp_ms, attempts, nudge,
        due_ms, halted, tier, ticket_offset, seal, value, value_seal)
    VALUES (NOT EXISTS (SELECT 1 FROM task WHERE lane = ?1 AND sequence < ?2),
        ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT DO NOTHING
"""
_STAND: Final = """
    UPDATE task SET attempts = ?, nudge = ?, due_ms = ?, halted = ?, tier = ?, ticket_offset = ?,
        seal = ?
    WHERE id = ?
"""
_FIND: Final = """
    SELECT id, lane, sequence, partition, subscription, timestamp_ms
    FROM task WHERE lane = ? AND sequence = ?
"""
_REMOVE: Final = """
    DELETE FROM task WHERE lane = ? AND sequence IN (SELECT value FROM json_each(?))
    RETURNING subscription, head
"""
_NEW_HEAD: Final = """
    UPDATE task SET head = 1
    WHERE id = (SELECT id FROM task WHERE lane = ? ORDER BY sequence LIMIT 1)
"""
_DUE: Final = """
    SELECT lane FROM task
    WHERE head = 1 AND subscription = ? AND halted = 0 AND due_ms <= ?
    ORDER BY due_ms, timestamp_ms, lane LIMIT ?
"""
_LANES: Final = """
    SELECT lane FROM task WHERE head = 1 AND subscription = ?
    ORDER BY halted, due_ms, timestamp_ms, lane LIMIT ?
"""
_DUE_THERE: Final = """
    SELECT lane FROM task
    WHERE head = 1 AND subscription = ? AND halted = 0 AND due_ms <= ?
        AND partition IN (SELECT value FROM json_each(?))
    ORDER BY due_ms, timestamp_ms, lane LIMIT ?
"""
_LANES_THERE: Final = """
    SELECT lane FROM task WHERE head = 1 AND subscription = ?
        AND partition IN (SELECT value FROM json_each(?))
    ORDER BY halted, due_ms, timestamp_ms, lane LIMIT ?
"""
_HALTED: Final = """
    SELECT count(*) FROM task
    WHERE head = 1 AND halted = 1 AND partition IN (SELECT value FROM json_each(?))
"""
_HALTED_LANES: Final = """
    SELECT lane FROM task WHERE head = 1 AND halted = 1 AND partition = ? AND lane > ?
    ORDER BY lane LIMIT ?
"""
_ADD_STRAY: Final = """
    INSERT OR REPLACE INTO stray (partition, lane, sequence, attempts, nudge, due_ms, halted,
        tier, ticket_offset)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_STRAYS: Final = """
    SELECT partition, lane, sequence, attempts, nudge, due_ms, halted, tier, ticket_offset
    FROM stray WHERE lane = ? AND sequence = ? ORDER BY id
"""
_FIRST_TICKET: Final = """
    SELECT min(lowest) FROM (
        SELECT min(ticket_offset) AS lowest FROM task WHERE partition = ?1 AND tier = ?2
        UNION ALL
        SELECT min(ticket_offset) FROM stray WHERE partition = ?1 AND tier = ?2)
"""
_OWE: Final = """
    INSERT OR REPLACE INTO owed (partition, lane, sequence, group_id, topic, topic_id,
        event_partition, subscription, uid, key)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ALL_OWED: Final = """
    SELECT partition, lane, sequence, group_id, topic, topic_id, event_partition,
        subscription, uid, key
    FROM owed
"""
_OWED_BY: Final = _ALL_OWED + "WHERE lane = ?"
_OWED: Final = _ALL_OWED + "WHERE partition = ? ORDER BY lane"
_FORGET: Final = "DELETE FROM {} WHERE partition IN (SELECT value FROM json_each(?))"


def open_spool(folder: Path, instance: str) -> Spool:
    """The spool of this process in `folder`, as it was left, or empty. It may take seconds.

    Raises:
        SpoolError: the folder cannot be used, or another process has the spool.
    """
    file = SpoolFile(folder, instance)
    try:
        return SqliteSpool(file)
    except BaseException:
        file.close()
        raise


class SqliteSpool:
    """The Spool of `hooklane.retrier.spool`. Any method may raise SpoolError; a batch in which
    one did is rolled back, and may be tried again."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._due_times = DueTimes(file)
        self._tasks = self._tasks_before = int(file.rows("SELECT count(*) FROM task")[0][0])

    def batch(self) -> AbstractContextManager[None]:
        return Batch(self._begin, self._file.keep, self._abandon)

    def _begin(self) -> None:
        self._file.begin()
        self._tasks_before = self._tasks

    def _abandon(self) -> None:
        self._file.abandon()
        self._tasks = self._tasks_before
        self._due_times.all_changed()

    def add(self, task: Waiting) -> bool:
        lane = bytes.fromhex(task.lane)
        facts = (lane, task.sequence, task.partition, task.subscription, task.timestamp_ms)
        values = (*facts, *_standing(task.standing), *_place(task.ticket))
        record = (task.record, zlib.crc32(task.record))
        if not self._file.change(_ADD, (*values, _seal(values), *record)).rowcount:
            return False
        self._tasks += 1
        self._due_times.changed(task.subscription)
        return True

    def remove(self, lane: LaneId, sequences: Collection[int]) -> None:
        digest = bytes.fromhex(lane)
        with self._file.step():
            gone = self._file.take(_REMOVE, (digest, json.dumps(list(sequences))))
            if any(head for _, head in gone):
                self._file.change(_NEW_HEAD, (digest,))
        self._tasks -= len(gone)
        for subscription, _ in gone:
            self._due_times.changed(subscription)

    def get(self, lane: LaneId, sequence: int) -> Waiting | None:
        return self._one(self._file.rows(_GET, (bytes.fromhex(lane), sequence)))

    def first(self, lane: LaneId) -> Waiting | None:
        return self._one(self._file.rows(_FIRST, (bytes.fromhex(lane),)))

    def following(self, lane: LaneId, sequence: int, enough_bytes: int) -> list[Waiting]:
        size = 0

        def is_enough(row: Row) -> bool:
            nonlocal size
            record = row[_RECORD]
            size += len(record) if isinstance(record, bytes) else enough_bytes  # it is broken
            return size >= enough_bytes

        rows = self._file.rows(_FOLLOWING, (bytes.fromhex(lane), sequence), is_enough)
        return [self._waiting(row) for row in rows]

    def highest(self, lane: LaneId) -> int | None:
        [(sequence,)] = self._file.rows(_HIGHEST, (bytes.fromhex(lane),))
        return None if sequence is None else int(sequence)

    def stand(
        self, lane: LaneId, sequence: int, standing: Standing, ticket: TicketPlace | None
    ) -> None:
        for row, *facts in self._file.rows(_FIND, (bytes.fromhex(lane), sequence)):
            values = (*_standing(standing), *_place(ticket))
            self._file.change(_STAND, (*values, _seal((*facts, *values)), row))
            self._due_times.changed(facts[3])

    def due(
        self, subscription: str, now_ms: int, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        if partitions is None:
            return _lanes(self._file.rows(_DUE, (subscription, now_ms, limit)))
        there = json.dumps(list(partitions))
        return _lanes(self._file.rows(_DUE_THERE, (subscription, now_ms, there, limit)))

    def lanes_of(
        self, subscription: str, limit: int, partitions: Collection[int] | None = None
    ) -> list[LaneId]:
        if partitions is None:
            return _lanes(self._file.rows(_LANES, (subscription, limit)))
        there = json.dumps(list(partitions))
        return _lanes(self._file.rows(_LANES_THERE, (subscription, there, limit)))

    def next_due(self) -> dict[str, int | None]:
        return self._due_times.read()

    def add_stray(self, ticket: StrayTicket) -> None:
        """A ticket that is read again counts as come now."""
        task = (ticket.partition, bytes.fromhex(ticket.lane), ticket.sequence)
        self._file.change(_ADD_STRAY, (*task, *_standing(ticket.standing), *ticket.place))

    def take_strays(self, lane: LaneId, sequence: int) -> list[StrayTicket]:
        place = (bytes.fromhex(lane), sequence)
        taken = self._file.rows(_STRAYS, place)
        if taken:
            self._file.change("DELETE FROM stray WHERE lane = ? AND sequence = ?", place)
        return [_stray(row) for row in taken]

    def drop_strays(self, partition: int, before: int) -> None:
        self._file.change("DELETE FROM stray WHERE partition = ? AND id < ?", (partition, before))

    def mark(self) -> int:
        last = self._file.rows("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'stray'")
        return int(last[0][0]) if last else 1

    def first_open_ticket(self, partition: int, tier: str) -> int | None:
        [(offset,)] = self._file.rows(_FIRST_TICKET, (partition, tier))
        return None if offset is None else int(offset)

    def owe(self, release: OwedRelease) -> OwedRelease:
        lane = (release.partition, bytes.fromhex(release.lane), release.sequence)
        events = (release.group, release.topic, release.topic_id, release.event_partition)
        subscriber = (release.subscription, release.uid, release.key)
        with self._file.step():
            earlier = [_owed(row) for row in self._file.rows(_OWED_BY, (lane[1],))]
            if earlier and earlier[0].sequence > release.sequence:
                return earlier[0]
            self._file.change(_OWE, (*lane, *events, *subscriber))
        return release

    def paid(self, lane: LaneId, sequence: int) -> None:
        place = (bytes.fromhex(lane), sequence)
        self._file.change("DELETE FROM owed WHERE lane = ? AND sequence <= ?", place)

    def owed(self, partition: int) -> list[OwedRelease]:
        return [_owed(row) for row in self._file.rows(_OWED, (partition,))]

    def checkpoint(self, partition: int) -> Checkpoint | None:
        found = self._file.rows("SELECT * FROM checkpoint WHERE partition = ?", (partition,))
        return Checkpoint(*found[0]) if found else None

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        place = (checkpoint.partition, checkpoint.topic_id)
        self._file.change(
            "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?)",
            (*place, checkpoint.offset, checkpoint.saved_ms),
        )

    def forget(self, partitions: Iterable[int]) -> None:
        """One pass over all tasks, and some 10 microseconds for each that goes."""
        going = (json.dumps(list(partitions)),)
        with self._file.step():
            gone = self._file.change(_FORGET.format("task"), going).rowcount
            for table in ("stray", "owed", "checkpoint"):
                self._file.change(_FORGET.format(table), going)
        self._tasks -= gone
        self._due_times.all_changed()

    def tasks(self) -> int:
        return self._tasks

    def halted_lanes(self, partition: int, after: LaneId, limit: int) -> list[LaneId]:
        found = self._file.rows(_HALTED_LANES, (partition, bytes.fromhex(after), limit))
        return _lanes(found)

    def halted(self, partitions: Collection[int]) -> int:
        [(lanes,)] = self._file.rows(_HALTED, (json.dumps(list(partitions)),))
        return int(lanes)

    def oldest_ms(self) -> int | None:
        [(oldest,)] = self._file.rows("SELECT min(timestamp_ms) FROM task WHERE head = 1")
        return None if oldest is None else int(oldest)

    def close(self) -> None:
        self._file.close()

    def _one(self, found: list[Row]) -> Waiting | None:
        return self._waiting(found[0]) if found else None

    def _waiting(self, row: Row) -> Waiting:
        *values, seal, record, record_seal = row
        if _seal(tuple(values)) != seal:
            raise self._file.broken("a task has changed")
        if not isinstance(record, bytes) or zlib.crc32(record) != record_seal:
            raise self._file.broken("a task's record has changed")
        lane, sequence, partition, subscription, timestamp_ms, *standing, tier, offset = values
        return Waiting(
            partition,
            _lane(lane),
            sequence,
            subscription,
            timestamp_ms,
            _standing_of(*standing),
            record,
            None if tier is None else TicketPlace(tier, offset),
        )


def _seal(values: Row) -> int:
    return zlib.crc32(repr(values).encode())


def _standing(standing: Standing) -> Row:
    return (standing.attempts, standing.nudge, standing.due_ms, int(standing.halted))


def _standing_of(attempts: int, nudge: int, due_ms: int, halted: int) -> Standing:
    return Standing(attempts, nudge, due_ms, bool(halted))


def _place(ticket: TicketPlace | None) -> Row:
    return (None, None) if ticket is None else ticket


def _lane(digest: bytes) -> LaneId:
    return LaneId(digest.hex())


def _lanes(found: list[Row]) -> list[LaneId]:
    return [_lane(digest) for (digest,) in found]


def _owed(row: Row) -> OwedRelease:
    partition, lane, *rest = row
    return OwedRelease(partition, _lane(lane), *rest)


def _stray(row: Row) -> StrayTicket:
    partition, lane, sequence, *standing, tier, offset = row
    place = TicketPlace(tier, offset)
    return StrayTicket(partition, _lane(lane), sequence, _standing_of(*standing), place)
