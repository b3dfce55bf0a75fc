"""A partition's log as Kafka keeps it: open transactions, markers, compaction, retention."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class Ending(Enum):
    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(slots=True, eq=False)
class Batch:
    """What one transaction has in one log, and whether its marker is there already."""

    first: int
    ending: Ending = Ending.OPEN


@dataclass(frozen=True, slots=True)
class Entry:
    """A record; `at_ms` is when it was written. A marker has neither key nor value."""

    offset: int
    key: bytes | None
    value: bytes | None
    at_ms: int
    batch: Batch | None = None
    marker: bool = False

    @property
    def visible(self) -> bool:
        """To a reader with read_committed that has come so far."""
        return not self.marker and (self.batch is None or self.batch.ending is Ending.COMMITTED)


@dataclass
class Log:
    """`listeners` are told whenever there may be more to read. `grown` is told of each record
    that is visible to all from now on."""

    topic: str
    partition: int
    entries: list[Entry] = field(default_factory=list)
    first: int = 0
    end: int = 0
    """The high watermark."""
    open: list[Batch] = field(default_factory=list)
    listeners: list[Callable[[], None]] = field(default_factory=list)
    grown: Callable[["Log", Entry], None] | None = None

    @property
    def stable_end(self) -> int:
        """The last stable offset."""
        return min((batch.first for batch in self.open), default=self.end)

    def append(
        self, key: bytes | None, value: bytes | None, at_ms: int, batch: Batch | None = None
    ) -> int:
        offset = self.end
        entry = Entry(offset, key, value, at_ms, batch)
        self.entries.append(entry)
        self.end += 1
        if batch is None:
            self._tell(entry)
        self._wake()
        return offset

    def begin(self) -> Batch:
        """A transaction comes to this log."""
        batch = Batch(self.end)
        self.open.append(batch)
        return batch

    def mark(self, batch: Batch, ending: Ending, at_ms: int) -> None:
        """The marker of a transaction: its records count, or do not, from now on."""
        batch.ending = ending
        self.open.remove(batch)
        self.entries.append(Entry(self.end, None, None, at_ms, batch, marker=True))
        self.end += 1
        if ending is Ending.COMMITTED:
            for entry in self.entries:
                if entry.batch is batch and not entry.marker:
                    self._tell(entry)
        self._wake()

    def read(self, position: int, limit: int) -> tuple[list[Entry], int]:
        """With read_committed from a position; and the position after."""
        found: list[Entry] = []
        stable = self.stable_end
        at = bisect_left(self.entries, position, key=lambda entry: entry.offset)
        while at < len(self.entries) and len(found) < limit:
            entry = self.entries[at]
            if entry.offset >= stable:
                return found, max(position, stable)
            if entry.visible:
                found.append(entry)
            position = entry.offset + 1
            at += 1
        return found, position if len(found) == limit else max(position, stable)

    def compact(self, tombstones_before_ms: int) -> None:
        """Of each key only the newest stays, of what is stable; old tombstones go altogether."""
        stable = self.stable_end
        newest = {
            entry.key: entry.offset
            for entry in self.entries
            if entry.offset < stable and entry.visible
        }
        self.entries = [
            entry
            for entry in self.entries
            if entry.offset >= stable
            or (
                entry.visible
                and newest[entry.key] == entry.offset
                and (entry.value is not None or entry.at_ms >= tombstones_before_ms)
            )
        ]

    def in_force(self) -> dict[bytes, bytes]:
        """The newest value of each key, tombstones left out; of all that is committed."""
        newest: dict[bytes, bytes | None] = {}
        for entry in self.entries:
            if entry.visible and entry.key is not None:
                newest[entry.key] = entry.value
        return {key: value for key, value in newest.items() if value is not None}

    def _tell(self, entry: Entry) -> None:
        if self.grown is not None:
            self.grown(self, entry)

    def _wake(self) -> None:
        for wake in list(self.listeners):
            wake()
