"""Reads Hooklane's own topics from here to there, for commands: no group, nothing committed.

    with open_reader(settings) as reader:
        partitions = reader.partitions(settings.topic_names.backlog)
        for line in reader.read(reader.whole(partitions)):
            ...

A reading is bounded: it ends at the high watermark that was asked for before, and waits for
transactions that were open then (DESIGN section 3, rule 5). What an aborted one wrote is not seen.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from hooklane.ops.embedded_broker import is_embedded
from hooklane.ops.output import is_at_terminal, notice
from hooklane.runtime import kafka
from hooklane.runtime.errors import BrokerError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_admin import KafkaAdmin, Partition, check_reachable
from hooklane.runtime.kafka_clients import open_consumer
from hooklane.runtime.kafka_settings import access_from
from hooklane.runtime.settings import Settings
from hooklane.runtime.topic_words import missing_topic

_REACH_S: Final = 5.0
_STALL_S: Final = 30.0
_POLL_S: Final = 0.2
_BATCH: Final = 2000
_PROGRESS_EVERY_S: Final = 2.0
SPARE: Final = 1000
"""Offsets beyond those that `newest` needs."""


class Line(NamedTuple):
    """One record. `timestamp_ms`: milliseconds since the epoch, as Kafka has it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class Span(NamedTuple):
    """Offsets of a partition from `first` to below `end`."""

    first: int
    end: int


Spans = Mapping[Partition, Span]
R = TypeVar("R")


def newest(spans: Spans, records: int) -> dict[Partition, Span]:
    """Cut to what holds the newest so many records of each partition.

    A transaction leaves one marker in a partition besides its records, at least one: so half of
    the offsets are records. Aborted ones, which are rare, have some room.
    """
    reach = 2 * records + SPARE
    return {one: Span(max(span.first, span.end - reach), span.end) for one, span in spans.items()}


class LogReader:
    """For one thread; every method raises BrokerError where Kafka does not answer or refuses."""

    def __init__(
        self, access: KafkaAccess, stall_s: float = _STALL_S, admin: KafkaAdmin | None = None
    ) -> None:
        self._servers = access.bootstrap_servers
        self._admin = admin or KafkaAdmin(access)
        self._access = access
        self._stall_s = stall_s
        self._opened: Consumer | None = None
        self._counts: dict[str, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def count(self, topic: str) -> int:
        """How many partitions the topic has.

        Raises:
            TopicsError: it is not there.
        """
        if self._counts is None:
            found = self._admin.layouts().values()
            self._counts = {layout.name: layout.partitions for layout in found}
        if topic not in self._counts:
            raise missing_topic(topic)
        return self._counts[topic]

    def partitions(self, topic: str) -> list[Partition]:
        """All partitions of a topic."""
        return [Partition(topic, number) for number in range(self.count(topic))]

    def topics(self) -> list[str]:
        """Every topic of the cluster."""
        return list(self._admin.layouts())

    def topic_id(self, topic: str) -> str:
        """The topic's UUID in hex, empty if it has just gone."""
        return self._admin.topic_ids([topic]).get(topic, "")

    def max_bytes(self, topic: str) -> int:
        """How large a record of the topic may be."""
        found = self._admin.configs([topic]).get(topic, {})
        return int(found.get("max.message.bytes", 2**20))

    def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """What a group has committed; waits for open transactions to end."""
        return self._admin.committed_offsets(group, partitions)

    def delete_before(self, offsets: Mapping[Partition, int]) -> None:
        """Let Kafka delete the records below these offsets."""
        wanted = [TopicPartition(one.topic, one.number, at) for one, at in offsets.items()]
        asked = self._admin.client.delete_records(wanted, request_timeout=_STALL_S)
        for place, future in asked.items():
            self._admin.answer(future, f"delete records of {place.topic}")

    def whole(self, partitions: Sequence[Partition]) -> dict[Partition, Span]:
        """All that there is now, by the high watermarks."""
        first = self._admin.first_offsets(partitions)
        ends = self._admin.high_watermarks(partitions)
        return {one: Span(first[one], ends[one]) for one in partitions}

    def since(self, moments: Mapping[Partition, int]) -> dict[Partition, Span]:
        """From the first record of each partition that is not older than its moment, in ms."""
        starts = self._admin.offsets_at(moments)
        return {
            one: Span(span.end if (start := starts[one]) is None else start, span.end)
            for one, span in self.whole(list(moments)).items()
        }

    def between(
        self, partitions: Sequence[Partition], since_ms: int | None, until_ms: int | None
    ) -> dict[Partition, Span]:
        """The records of a time; None is no bound. Timestamps may be a little out of order, so
        the caller bounds generously and judges each record itself."""
        spans = (
            self.whole(partitions)
            if since_ms is None
            else self.since(dict.fromkeys(partitions, since_ms))
        )
        if until_ms is None:
            return spans
        ends = self._admin.offsets_at(dict.fromkeys(partitions, until_ms))
        return {
            one: span if (end := ends[one]) is None else Span(span.first, min(span.end, end))
            for one, span in spans.items()
        }

    def read(self, spans: Spans) -> Iterator[Line]:
        """The records of these spans; in order within each partition."""
        return self.read_as(_line, spans)

    def read_as(self, made: Callable[[Message], R], spans: Spans) -> Iterator[R]:
        """The same, each as `made` makes it: headers cost too much for those that have none."""
        left = {one: span.end for one, span in spans.items() if span.first < span.end}
        if not left:
            return
        consumer = self._assigned({one: spans[one].first for one in left})
        progress = _Progress(sum(span.end - span.first for span in spans.values()))
        heard = time.monotonic()
        try:
            while left:
                messages = _messages(consumer)
                if not messages and time.monotonic() > heard + self._stall_s:
                    raise self._stalled(left)
                for message in self._taken(messages, left, consumer):
                    yield made(message)
                progress.read(len(messages))
                if messages:
                    # Only now: a caller may take its time, and that is no stall.
                    heard = time.monotonic()
        finally:
            consumer.unassign()

    def follow(self, starts: Mapping[Partition, int]) -> Iterator[Line]:
        """What is there from these offsets on and what comes, without end.

        A broker that is away is waited for.
        """
        consumer = self._assigned(starts)
        try:
            while True:
                for message in _messages(consumer):
                    error = message.error()
                    if error is None:
                        yield _line(message)
                    else:
                        self._judge(error)
        finally:
            consumer.unassign()

    def _taken(
        self, messages: Sequence[Message], left: dict[Partition, int], consumer: Consumer
    ) -> Iterator[Message]:
        for message in messages:
            error = message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._judge(error)
                continue
            place = Partition(message.topic() or "", message.partition() or 0)
            offset, end = message.offset() or 0, left.get(place)
            if end is None:
                continue
            if error is None and offset < end:
                yield message
            if offset + (error is None) >= end:
                del left[place]
                consumer.incremental_unassign([TopicPartition(place.topic, place.number)])

    def _assigned(self, starts: Mapping[Partition, int]) -> Consumer:
        consumer = self._consumer()
        # Of topics whose leaders are known the first fetch goes out at once, else within 1 s.
        for topic in {place.topic for place in starts}:
            try:
                consumer.list_topics(topic, _REACH_S)
            except KafkaException as error:
                raise self._refused(error.args[0]) from error
        consumer.assign(
            [TopicPartition(one.topic, one.number, start) for one, start in starts.items()]
        )
        return consumer

    def _consumer(self) -> Consumer:
        if self._opened is None:
            self._opened = open_consumer(kafka.internal_consumer(self._access))
        return self._opened

    def _judge(self, error: KafkaError) -> None:
        """An error that will not pass ends the command; the client recovers from the others."""
        if error.code() in _HOPELESS:
            raise self._refused(error)

    def _refused(self, error: KafkaError) -> BrokerError:
        return BrokerError(
            f"Kafka at {self._servers} (HOOKLANE_KAFKA__BOOTSTRAP_SERVERS) refuses to be read "
            f"({error.str().rstrip('.')}): check the rights of the user in "
            "HOOKLANE_KAFKA__PROPERTIES, and `hooklane topics check`."
        )

    def _stalled(self, left: Mapping[Partition, int]) -> BrokerError:
        topics = ", ".join(sorted({place.topic for place in left}))
        return BrokerError(
            f"{topics} could not be read to the end, nothing came for {self._stall_s:.0f} s: "
            "check the brokers, and that no transaction stays open."
        )


def open_reader(settings: Settings) -> LogReader:
    """A reader, once a broker has answered.

    Raises:
        BrokerError: none did within some seconds.
    """
    access = access_from(settings)
    # A person waits: whether anybody is there shows sooner than a large cluster's answers come.
    check_reachable(access, _REACH_S)
    if not is_embedded(access):
        return LogReader(access)
    from hooklane.ops.log_embedded import EmbeddedLogReader  # noqa: PLC0415 - which needs this one

    return EmbeddedLogReader(access)


class _Progress:
    """Says on a terminal how far a long reading is."""

    def __init__(self, total: int, said: Callable[[str], None] = notice) -> None:
        self._total = total
        self._said = said
        self._count = 0
        self._next = time.monotonic() + _PROGRESS_EVERY_S
        self._wanted = is_at_terminal()

    def read(self, count: int) -> None:
        self._count += count
        if self._wanted and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PROGRESS_EVERY_S
            self._said(f"Read {self._count:,} of at most {self._total:,} records.")


_HOPELESS: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own codes begin so
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)


def _messages(consumer: Consumer) -> list[Message]:
    """What is there by now; waits a little for the first, and for no other."""
    first = consumer.poll(_POLL_S)
    return [] if first is None else [first, *consumer.consume(_BATCH - 1, 0)]


def _line(message: Message) -> Line:
    return Line(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        _bytes(message.key()),
        _bytes(message.value()),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
