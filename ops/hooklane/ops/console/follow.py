"""Reads the attempts topic behind its end, on a thread of its own, into what the pages show."""

import threading
import time
from typing import Final

import structlog

from hooklane.ops.console.minutes import Minutes
from hooklane.ops.console.recent import RecentAttempts
from hooklane.ops.log_reader import Line, LogReader, Span, newest, open_reader
from hooklane.runtime.errors import HooklaneError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.settings import Settings
from hooklane.schemas.codec import ATTEMPTS, CodecError

log = structlog.get_logger()

MOST_AT_START: Final = 500_000
"""Records of all partitions that are read back at the start, at most."""
_AGAIN_S: Final = 5.0


class AttemptFollower:
    """`caught_up` is set once what was there at the start has been read; `trouble` says why nothing
    comes, while nothing does."""

    def __init__(self, settings: Settings, recent: RecentAttempts, minutes: Minutes) -> None:
        self._settings = settings
        self._recent = recent
        self._minutes = minutes
        self._next: dict[Partition, int] = {}
        self.caught_up = threading.Event()
        self.trouble: str | None = None
        self.unread = 0
        """Records that this version cannot read."""

    def start(self) -> None:
        """On a daemon thread: it holds nothing that would have to be put away at the end."""
        threading.Thread(target=self._run, name="attempts", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                with open_reader(self._settings) as reader:
                    self.trouble = None
                    if not self.caught_up.is_set():
                        self._read_back(reader)
                        self.caught_up.set()
                    for line in reader.follow(self._next):
                        self._take(line)
            except HooklaneError as error:
                self.trouble = str(error)
                log.warning("attempts cannot be followed", reason=str(error))
                time.sleep(_AGAIN_S)

    def _read_back(self, reader: LogReader) -> None:
        """The newest of the time that charts show; what was read before is not read again."""
        partitions = reader.partitions(self._settings.topic_names.attempts)
        since_ms = _now_ms() - round(self._settings.console.history.seconds * 1000)
        spans = newest(
            reader.between(partitions, since_ms, None), MOST_AT_START // max(len(partitions), 1)
        )
        for line in reader.read(
            {
                one: Span(max(span.first, self._next.get(one, 0)), span.end)
                for one, span in spans.items()
            }
        ):
            self._take(line)
        self._next = {one: max(span.end, self._next.get(one, 0)) for one, span in spans.items()}

    def _take(self, line: Line) -> None:
        self._next[Partition(line.topic, line.partition)] = line.offset + 1
        try:
            attempt = ATTEMPTS.decode(line.value or b"")
        except CodecError:
            self.unread += 1
            return
        self._recent.add(line.partition, line.offset, attempt)
        self._minutes.add(line.partition, line.offset, attempt, _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
