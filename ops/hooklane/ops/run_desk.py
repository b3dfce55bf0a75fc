"""What redrives and replays have in common: the audit knows them, and one process writes them."""

import time
from typing import Final

from hooklane.ops.audit_action import Action
from hooklane.ops.audit_write import audit_record
from hooklane.ops.log_reader import LogReader
from hooklane.ops.run_writer import RunWriter
from hooklane.ops.runs import REMEMBERED_MS, KnownRun, RunBook
from hooklane.runtime.errors import TopicsError
from hooklane.schemas.codec import AUDITS, CodecError
from hooklane.schemas.records_operator import AuditState
from hooklane.schemas.topics import TopicNames

BATCH: Final = 500
"""Tasks of a transaction, at most."""
BATCH_BYTES: Final = 4 * 2**20
RECORD_EXTRA: Final = 512
"""What Kafka adds to a record's key and value, and more."""


class RunDesk:
    """For one command. What writes has been opened before anything is read."""

    def __init__(self, reader: LogReader, names: TopicNames) -> None:
        self._reader = reader
        self._names = names

    def runs(self) -> RunBook:
        """Those of the last 30 days.

        Raises:
            TopicsError: there is no audit topic.
        """
        partitions = self._reader.partitions(self._names.audit)
        book = RunBook()
        for line in self._reader.read(
            self._reader.since(dict.fromkeys(partitions, now_ms() - REMEMBERED_MS))
        ):
            try:
                book.read(AUDITS.decode(line.value or b""))
            except CodecError:
                continue  # a newer version's runs are gone on with by a newer version
        return book

    def check_audit(self) -> None:
        """Before anything is asked or done.

        Raises:
            TopicsError: there is no audit topic.
        """
        self._reader.count(self._names.audit)

    def tell(
        self, writer: RunWriter, action: Action, state: AuditState, count: int, detail: str
    ) -> None:
        """The audit has it when this returns."""
        record = action.record(state, now_ms(), count=count, detail=detail)
        writer.write([audit_record(record, self._names)])

    def check_layout(self, *topics: str) -> int:
        """How many partitions all of these and the backlog have: a lane's records must be in the
        partition of one number in every topic.

        Raises:
            TopicsError: one has others, or is missing.
        """
        wanted = self._reader.count(self._names.backlog)
        for topic in topics:
            if self._reader.count(topic) != wanted:
                raise TopicsError(
                    f"{topic} has {self._reader.count(topic)} partitions and "
                    f"{self._names.backlog} has {wanted}: `hooklane topics check` says what to do."
                )
        return wanted


def gone_on_with(action: Action, earlier: KnownRun | None) -> Action:
    """The action, as a part of an earlier run if there is one to go on with."""
    return action if earlier is None else action.as_run(earlier.id, earlier.selection)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
