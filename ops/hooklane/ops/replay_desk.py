"""What `hooklane replay` does, between its options and what it prints.

How far a run has come is committed as the offsets of a group of its own, in the transactions that
write its tasks: a run that is gone on with begins exactly where the last one that counted ended.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import Message, TopicPartition

from hooklane.ops.event_reading import EventReading
from hooklane.ops.log_reader import LogReader, Span, Spans
from hooklane.ops.log_search import full_record
from hooklane.ops.output import notice
from hooklane.ops.replay_plan import Passed, Replay, ReplayCount, ReplaySelection
from hooklane.ops.run_desk import BATCH, BATCH_BYTES, RECORD_EXTRA, RunDesk, now_ms
from hooklane.ops.run_progress import Advance, Pacer, Stop
from hooklane.ops.run_writer import RunWriter
from hooklane.ops.subscriptions_topic import ConfigTopic
from hooklane.runtime import kafka
from hooklane.runtime.errors import UsageError
from hooklane.runtime.kafka_admin import Partition
from hooklane.runtime.kafka_clients import open_unpolled_consumer
from hooklane.runtime.kafka_settings import access_from, tenants_from
from hooklane.runtime.settings import Settings
from hooklane.schemas.book import Entry
from hooklane.schemas.codec import TASKS
from hooklane.schemas.event import SourceRecord
from hooklane.schemas.lane import lane_partition
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeliveryTask
from hooklane.schemas.subscription_parts import State
from hooklane.schemas.topics import task_key

KIND = "replay"
_SKEW_MS = 15 * 60_000
"""Producers set timestamps, which may be a little out of order."""


class ReplayDesk:
    """For one command."""

    def __init__(self, settings: Settings, reader: LogReader) -> None:
        self._settings = settings
        self._names = settings.topic_names
        self._access = access_from(settings)
        self._reader = reader
        self.runs = RunDesk(self._reader, self._names)
        self._count = self.runs.check_layout()

    def topic_id(self, topic: str) -> str:
        """The topic's UUID in hex.

        Raises:
            UsageError: there is no such topic, or it is Hooklane's own.
        """
        own = frozenset(self._names.all(self._settings.retry.tiers))
        found = "" if topic in own else self._reader.topic_id(topic)
        if not found:
            raise UsageError(f"There is no event topic {topic}: name the one that has the events.")
        return found

    def entry(self, subscription: str) -> Entry:
        """The document in force.

        Raises:
            UsageError: there is none, or what is written for it would be given up or discarded.
        """
        entry = ConfigTopic(self._settings).read().entry(subscription)
        if entry is None:
            raise UsageError(
                f"There is no subscription {subscription}: `hooklane subscriptions list` shows "
                "them."
            )
        if entry.disabled is not None or entry.subscription.state is State.DISABLED:
            raise UsageError(
                f"{subscription} is disabled: `hooklane subscriptions resume {subscription}` first."
            )
        return entry

    def tell_paused(self, entry: Entry) -> None:
        """Whoever waits for deliveries should know."""
        if entry.subscription.state is State.PAUSED:
            notice(f"{entry.id} is paused: what is replayed waits until it is resumed.")

    def replay(self, run: str, entry: Entry, selection: ReplaySelection) -> Replay:
        """What decides about each event."""
        group, tenants = self._settings.fanout.group_id, tenants_from(self._settings)
        read = EventReading(self._settings).read
        return Replay(run, entry, group, selection, tenants, read)

    def spans(self, selection: ReplaySelection) -> dict[Partition, Span]:
        """Where the events of this time are."""
        partitions = self._reader.partitions(selection.topic)
        times = selection.window
        until_ms = None if times.until_ms is None else times.until_ms + _SKEW_MS
        spans = self._reader.between(partitions, times.since_ms, until_ms)
        first = {one: span.first for one, span in self._reader.whole(partitions).items()}
        if any(spans[one].first == at > 0 for one, at in first.items()):
            notice(
                f"{selection.topic} has lost its oldest events to its retention: events of this "
                "time may be among them."
            )
        return spans

    def writer(self, subscription: str) -> RunWriter:
        """What writes, once an earlier process that replays to this subscription is fenced: two
        at once, begun in one moment, would know nothing of each other's runs."""
        writer = RunWriter(self._access, self._names.prefix, KIND, subscription)
        writer.open()
        return writer

    def writer_of(self, writer: RunWriter, run: str) -> "ReplayWriter":
        """The same for one run, with how far it has come."""
        return ReplayWriter(writer, self._access, self._group(run))

    def left(self, run: str, spans: Spans) -> dict[Partition, Span]:
        """What of these is not done. The run's writer is open.

        Raises:
            UsageError: Kafka has forgotten how far the run had come.
        """
        done = self._reader.committed(self._group(run), list(spans))
        if any(offset is None for offset in done.values()):
            raise UsageError(
                f"How far run {run} had come is not known any more, Kafka forgets it after 7 days: "
                "begin another one, with --since behind what was delivered."
            )
        return {
            one: Span(min(max(span.first, done[one] or 0), span.end), span.end)
            for one, span in spans.items()
        }

    def count(self, replay: Replay, spans: Spans, stop: Stop) -> ReplayCount:
        """What would be written."""
        counted, largest = ReplayCount(), self._largest()
        for record in self._records(spans):
            if stop.is_asked():
                break
            judged = replay.judge(record, 0)
            if isinstance(judged, DeliveryTask) and _size(self._task(judged)) > largest:
                judged = Passed.TOO_LARGE
            counted.add(judged)
        return counted

    def write(
        self,
        replay: Replay,
        spans: Spans,
        writer: "ReplayWriter",
        pacer: Pacer,
        stop: Stop,
        advance: Advance,
    ) -> "Written":
        """Write the tasks batch by batch, until all are there or somebody wants it to stop.

        Raises:
            BrokerError: what the last batch would have written may not be there.
        """
        largest, most = self._largest(), min(BATCH, pacer.batch)
        batch: list[Record] = []
        size = count = 0
        reached = {one: span.first for one, span in spans.items()}
        for record in self._records(spans):
            if stop.is_asked():
                return Written(count, is_all=False)
            judged = replay.judge(record, now_ms())
            task = self._task(judged) if isinstance(judged, DeliveryTask) else None
            if task is not None and _size(task) <= largest:
                batch.append(task)
                size += _size(task)
            reached[Partition(record.topic, record.partition)] = record.offset + 1
            if len(batch) >= most or size >= BATCH_BYTES:
                pacer.wait(len(batch), stop)
                if stop.is_asked():
                    return Written(count, is_all=False)
                writer.write(batch, reached)
                count += len(batch)
                advance(len(batch))
                batch, size = [], 0
        writer.write(batch, {one: span.end for one, span in spans.items()})
        advance(len(batch))
        return Written(count + len(batch), is_all=True)

    def _group(self, run: str) -> str:
        return f"{self._names.prefix}-{KIND}-{run}"

    def _largest(self) -> int:
        return self._reader.max_bytes(self._names.backlog) - RECORD_EXTRA

    def _records(self, spans: Spans) -> Iterator[SourceRecord]:
        topics = {one.topic: self._reader.topic_id(one.topic) for one in spans}
        return self._reader.read_as(lambda message: _source(message, topics), spans)

    def _task(self, task: DeliveryTask) -> Record:
        return Record(
            self._names.backlog,
            lane_partition(task.lane, self._count),
            task_key(task.lane, task.sequence),
            TASKS.encode(task),
        )


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a run in this process."""

    count: int
    is_all: bool


class ReplayWriter:
    """Tasks, and how far the run has come, in one transaction."""

    def __init__(self, writer: RunWriter, access: kafka.KafkaAccess, group: str) -> None:
        self._writer = writer
        # Never joined: the transactional id alone says who may write.
        self._consumer = open_unpolled_consumer(kafka.offsets_consumer(access, group))

    def write(self, records: list[Record], reached: Mapping[Partition, int]) -> None:
        """All of it or nothing; raises as `RunWriter.write` does."""
        offsets = [TopicPartition(one.topic, one.number, at) for one, at in reached.items()]
        self._writer.write(records, offsets, self._consumer.consumer_group_metadata())


def _size(task: Record) -> int:
    return len(task.key) + len(task.value or b"")


def _source(message: Message, topic_ids: Mapping[str, str]) -> SourceRecord:
    record = full_record(message)
    return record.source(topic_ids[record.topic])
