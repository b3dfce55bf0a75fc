"""What `dead-letters redrive` and `purge` do, between their options and what they print."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hooklane.ops.audit_action import Action
from hooklane.ops.dead_letters_view import LetterSelection, check_named
from hooklane.ops.letter_index import LetterFacts, LetterIndex
from hooklane.ops.log_reader import Line, LogReader, Span, Spans
from hooklane.ops.output import notice
from hooklane.ops.purge_plan import PrefixScan
from hooklane.ops.redrive_plan import (
    Left,
    Planned,
    Redrive,
    RedrivePlan,
    batches,
    new_webhook_id,
    spans_of,
)
from hooklane.ops.run_desk import BATCH, BATCH_BYTES, RECORD_EXTRA, RunDesk, now_ms
from hooklane.ops.run_progress import Advance, Pacer, Stop
from hooklane.ops.run_writer import RunWriter
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import SubscriptionBook
from hooklane.schemas.codec import DEAD_LETTERS, LETTER_MARKS, TASKS
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeadLetter
from hooklane.schemas.records_operator import Fate, LetterMark
from hooklane.schemas.topics import task_key

SKEW_MS = 15 * 60_000
"""A record's time is that of its writing, a letter's that of the decision."""


@dataclass(slots=True)
class Progress:
    """What came of a run in this process."""

    written: int = 0
    left: Counter[Left] = field(default_factory=Counter)


class LettersDesk:
    """For one command."""

    def __init__(self, settings: Settings, reader: LogReader) -> None:
        self._settings = settings
        self._names = settings.topic_names
        self._reader = reader
        self.runs = RunDesk(self._reader, self._names)
        self._count = self.runs.check_layout(self._names.dead_letters)
        # One name for all: two redrives at once would deliver a letter twice.
        self.writer = RunWriter(
            access_from(settings), self._names.prefix, "dead-letters", "command"
        )

    def book(self) -> SubscriptionBook:
        """The subscriptions in force."""
        return ConfigTopic(self._settings).read()

    def index(self, selection: LetterSelection) -> LetterIndex:
        """The letters that are meant, and the marks behind them."""
        topic = self._names.dead_letters
        partitions = self._reader.partitions(topic)
        if selection.ids and all(one.is_whole_lane for one in selection.ids):
            numbers = {lane_partition(one.typed_lane, self._count) for one in selection.ids}
            partitions = [one for one in partitions if one.number in numbers]
        since_ms = selection.window.since_ms
        begin_ms = None if since_ms is None else since_ms - SKEW_MS
        return self._index(selection, self._reader.between(partitions, begin_ms, None))

    def whole_index(self, selection: LetterSelection) -> LetterIndex:
        """The same with every mark that there is."""
        partitions = self._reader.partitions(self._names.dead_letters)
        return self._index(selection, self._reader.whole(partitions))

    def _index(self, selection: LetterSelection, spans: Spans) -> LetterIndex:
        index = LetterIndex(selection)
        for line in self._reader.read(spans):
            index.take(line.partition, line.offset, line.timestamp_ms, line.key, line.value)
        check_named(selection.ids, (one.lane for one in index.letters()))
        if index.unread:
            notice(f"{index.unread} records cannot be read by this version and are left alone.")
        return index

    def redrive(
        self,
        plan: RedrivePlan,
        redrive: Redrive,
        action: Action,
        pacer: Pacer,
        stop: Stop,
        advance: Advance,
    ) -> Progress:
        """Write tasks and marks batch by batch, until all are there or somebody wants it to stop.

        Raises:
            BrokerError: what this batch would have written may not be there.
        """
        new_in = action.id if "new_ids" in action.selection else None
        progress, largest = Progress(), self._reader.max_bytes(self._names.backlog) - RECORD_EXTRA
        for batch in batches(plan.tasks, min(BATCH, pacer.batch), BATCH_BYTES):
            pacer.wait(len(batch), stop)
            if stop.is_asked():
                break
            letters = self._payloads(batch)
            records: list[Record] = []
            for one in batch:
                letter = letters.get((one.letter.partition, one.letter.offset))
                if letter is None:
                    progress.left[Left.EXPIRED] += 1
                    continue
                task = self._task(redrive, one, letter, new_in)
                if len(task.key) + len(task.value or b"") > largest:
                    progress.left[Left.TOO_LARGE] += 1
                    continue
                mark = _marked(one.letter, Fate.REDRIVEN, action)
                records += (task, self._mark(one.letter, mark))
            if records:
                self.writer.write(records)
            progress.written += len(records) // 2
            advance(len(batch))
        return progress

    def purge(
        self,
        letters: Sequence[LetterFacts],
        index: LetterIndex,
        action: Action,
        stop: Stop,
        advance: Advance,
    ) -> Progress:
        """Mark letters as purged, in the index too, batch by batch; raises as `redrive` does."""
        progress = Progress()
        for at in range(0, len(letters), BATCH):
            if stop.is_asked():
                break
            batch = letters[at : at + BATCH]
            marks = {one: _marked(one, Fate.PURGED, action) for one in batch}
            self.writer.write([self._mark(one, mark) for one, mark in marks.items()])
            index.marks.update((one.name, mark) for one, mark in marks.items())
            progress.written += len(batch)
            advance(len(batch))
        return progress

    def delete_purged(self, index: LetterIndex) -> int:
        """Let Kafka delete what stands at the beginning of each partition and is purged; how many
        records that are, at most. `index` has every mark."""
        partitions = self._reader.partitions(self._names.dead_letters)
        found: dict[Partition, int] = {}
        count = 0
        for place, span in self._reader.whole(partitions).items():
            scan = PrefixScan(span.first, index.marks)
            for line in self._reader.read({place: span}):
                if not scan.take(line.offset, line.value):
                    break
            if scan.end > span.first:
                found[place] = scan.end
                count += scan.end - span.first
        if found:
            try:
                self._reader.delete_before(found)
            except BrokerError as error:
                notice(f"They are hidden, and go by their age: {error}")
                return 0
        return count

    def _payloads(self, batch: Iterable[Planned]) -> Mapping[tuple[int, int], DeadLetter]:
        wanted: dict[int, set[int]] = {}
        for one in batch:
            wanted.setdefault(one.letter.partition, set()).add(one.letter.offset)
        topic = self._names.dead_letters
        pieces = {number: list(spans_of(offsets)) for number, offsets in wanted.items()}
        found: dict[tuple[int, int], DeadLetter] = {}
        for turn in range(max(map(len, pieces.values()), default=0)):
            spans = {
                Partition(topic, number): Span(*those[turn])
                for number, those in pieces.items()
                if turn < len(those)
            }
            for line in self._reader.read(spans):
                if line.offset in wanted[line.partition]:
                    found[line.partition, line.offset] = _letter(line)
        return found

    def _task(
        self, redrive: Redrive, planned: Planned, letter: DeadLetter, new_in: str | None
    ) -> Record:
        webhook_id = letter.webhook_id or ""
        if new_in is not None:
            webhook_id = new_webhook_id(new_in, webhook_id)
        task = redrive.task(planned, letter, webhook_id, now_ms())
        return Record(
            self._names.backlog,
            lane_partition(task.lane, self._count),
            task_key(task.lane, task.sequence),
            TASKS.encode(task),
        )

    def _mark(self, letter: LetterFacts, mark: LetterMark) -> Record:
        key, value = letter.lane.encode(), LETTER_MARKS.encode(mark)
        return Record(self._names.dead_letters, letter.partition, key, value)


def _marked(letter: LetterFacts, fate: Fate, action: Action) -> LetterMark:
    return LetterMark(letter.lane, letter.sequence, fate, action.id, now_ms(), action.by)


def _letter(line: Line) -> DeadLetter:
    return DEAD_LETTERS.decode(line.value or b"")
