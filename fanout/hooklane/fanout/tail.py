"""The thread that reads the lanes topic: from the start for a restore, then on and on."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Protocol

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from hooklane.fanout.restore import LaneLine
from hooklane.runtime.threads import SYSTEM_THREADS, Started, Threads

log = structlog.get_logger(__name__)

_POLL_S = 0.05
_BATCH = 1000
_LEADERS_S = 2.0


class Reader(Protocol):
    """Who wants what is read. Called in the event loop, in the order of the log."""

    def read(self, partition: int, reading: int, lines: Sequence[LaneLine]) -> None: ...

    def reached_end(self, partition: int, reading: int, offset: int) -> None: ...


class LaneTail:
    """Follows partitions of the lanes topic with one consumer (read_committed, EOF events on)."""

    def __init__(self, consumer: Consumer, topic: str, threads: Threads = SYSTEM_THREADS) -> None:
        self._consumer = consumer
        self._topic = topic
        self._reader: Reader | None = None
        self._loop = asyncio.get_running_loop()
        self._orders: deque[Callable[[], None]] = deque()
        self._readings: dict[int, int] = {}
        self._next_reading = 0
        self._knows_leaders = False
        """Whether they have been asked for since the last poll."""
        self._stopping = threading.Event()
        self._threads = threads
        self._thread: Started | None = None

    def start(self, reader: Reader) -> None:
        self._reader = reader
        self._thread = self._threads.start(self._run, "lanes")

    async def stop(self) -> None:
        """Also before the start, when that was never reached."""
        self._stopping.set()
        if self._thread is None:
            await asyncio.to_thread(self._consumer.close)
        elif self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def read_from_start(self, partition: int) -> int:
        """Begin `partition` anew; the number comes with all that this reading finds."""
        self._next_reading += 1
        reading = self._next_reading
        self._orders.append(lambda: self._begin(partition, reading))
        return reading

    def stop_reading(self, partition: int) -> None:
        self._orders.append(lambda: self._end(partition))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._knows_leaders = False
                while self._orders:
                    self._orders.popleft()()
                self._poll()
            except KafkaException as error:
                log.warning("lanes.read_error", error=str(error))
        self._consumer.close()

    def _begin(self, partition: int, reading: int) -> None:
        self._end(partition)
        self._readings[partition] = reading
        # A topic whose leaders are known is fetched at once; else librdkafka takes up to 1 s.
        if not self._knows_leaders:
            with suppress(KafkaException):
                self._consumer.list_topics(self._topic, _LEADERS_S)
            self._knows_leaders = True
        self._consumer.incremental_assign(
            [TopicPartition(self._topic, partition, OFFSET_BEGINNING)]
        )

    def _end(self, partition: int) -> None:
        if self._readings.pop(partition, None) is not None:
            self._consumer.incremental_unassign([TopicPartition(self._topic, partition)])

    def _poll(self) -> None:
        first = self._consumer.poll(_POLL_S)
        if first is None:
            return
        messages = [first, *self._consumer.consume(_BATCH - 1, 0)]
        # Ends of partitions stand among the records, and have to be told in their place.
        for (partition, is_record), run in groupby(messages, _partition_and_kind):
            reading = self._readings.get(partition)
            if reading is None:
                continue
            if is_record:
                self._hand_over(partition, reading, list(_lines(run)))
            else:
                for message in run:
                    self._on_event(partition, reading, message)

    def _hand_over(self, partition: int, reading: int, lines: Sequence[LaneLine]) -> None:
        if self._reader is not None and lines:
            self._loop.call_soon_threadsafe(self._reader.read, partition, reading, lines)

    def _on_event(self, partition: int, reading: int, message: Message) -> None:
        error, offset = message.error(), message.offset()
        if error is None or self._reader is None:
            return
        if error.code() == KafkaError._PARTITION_EOF and offset is not None:  # noqa: SLF001
            self._loop.call_soon_threadsafe(self._reader.reached_end, partition, reading, offset)
        else:
            log.warning("lanes.read_error", partition=partition, error=str(error))


def _partition_and_kind(message: Message) -> tuple[int, bool]:
    partition = message.partition()
    return (-1 if partition is None else partition), message.error() is None


def _lines(messages: Iterator[Message]) -> Iterator[LaneLine]:
    for message in messages:
        key, offset = message.key(), message.offset()
        if key is not None and offset is not None:
            yield LaneLine(offset, key, message.value())
