"""How the outbox relay publishes: a bucket's rows of one turn are one transaction.

The transactional id is the bucket's, whichever relay has it. So a relay that takes a bucket over
ends what an earlier one has left open, and nothing of that one comes to Kafka any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hooklane.producer.encoding import OutgoingRecord
from hooklane.producer.outbox.desk import Fault, Refusal
from hooklane.producer.outbox.ports import Committed, Refused, Result, Unsure
from hooklane.runtime import kafka
from hooklane.runtime.kafka import Config, KafkaAccess
from hooklane.runtime.kafka_clients import open_producer
from hooklane.runtime.transactions import (
    CommitResult,
    Outgoing,
    TransactionThread,
    TransactionWriter,
)

_ASKED_S: Final = 5.0
_FAULTS: Final[Mapping[str, Fault]] = {
    "MSG_SIZE_TOO_LARGE": Fault.ROW,
    "RECORD_LIST_TOO_LARGE": Fault.ROW,
    "INVALID_RECORD": Fault.ROW,
    "INVALID_MSG": Fault.ROW,
    "INVALID_TIMESTAMP": Fault.ROW,
    "_BAD_MSG": Fault.ROW,
    "TOPIC_AUTHORIZATION_FAILED": Fault.TOPIC,
    "TOPIC_EXCEPTION": Fault.TOPIC,
    "UNKNOWN_TOPIC_OR_PART": Fault.TOPIC,
    "_UNKNOWN_TOPIC": Fault.TOPIC,
    "_UNKNOWN_PARTITION": Fault.TOPIC,
    "POLICY_VIOLATION": Fault.TOPIC,
}


class _Produced(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes
    partition: int = -1


def bucket_config(access: KafkaAccess, name: str, bucket: int, partitioner: str) -> Config:
    """The producer of one bucket. `name`: of the outbox, the same for each of its relays.

    Raises:
        SettingsError: the session timeout leaves no room for a transaction.
    """
    config = kafka.transactional_producer(access, "", "")
    return {
        **config,
        "transactional.id": f"{name}-{bucket}",
        "partitioner": partitioner,
    }


class BucketPublisher:
    """Made in the running event loop; what blocks is done on a thread of its own."""

    def __init__(
        self, config: Config, connect: Callable[[Config], Producer] = open_producer
    ) -> None:
        self._config = config
        self._make = connect
        self._producer: Producer | None = None
        self._there: set[str] = set()
        timeout_s = int(config["transaction.timeout.ms"]) / 1000
        self._writer = TransactionWriter(self._connect, timeout_s)
        self._thread = TransactionThread(self._writer)

    async def open(self) -> None:
        """Fence every earlier publisher of the bucket; however long Kafka does not answer."""
        await self._thread.reopen()

    async def publish(self, records: Sequence[OutgoingRecord]) -> Result:
        """All of these, or none."""
        result = await self._thread.call(self._publish, records)
        if isinstance(result, Refused):
            # A producer whose record was refused has lost count of its sequence numbers: its next
            # transaction would be undone for that.
            await self.open()
        return result

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.close)

    def _connect(self) -> Producer:
        self._producer = self._make(self._config)
        return self._producer

    def _publish(self, records: Sequence[OutgoingRecord]) -> Result:
        try:
            missing = self._missing({one.topic for one in records})
        except KafkaException as error:
            return Unsure(f"Kafka does not say what topics there are: {error.args[0].str()}")
        if missing:
            places = {n: one.topic for n, one in enumerate(records)}
            return Refused({n: missing[one] for n, one in places.items() if one in missing})
        refused: dict[int, Refusal] = {}
        self._writer.undone_by = None
        result = self._writer.write(_outgoing(records, refused), [], None)
        if result is CommitResult.COMMITTED:
            return Committed()
        self._there.clear()
        if result is CommitResult.UNKNOWN or not self._writer.is_open:
            return Unsure("nobody knows whether a transaction was committed")
        return self._undone(refused, range(len(records)))

    def _undone(self, refused: Mapping[int, Refusal], places: Iterable[int]) -> Result:
        """What a transaction was aborted for."""
        cause = self._writer.undone_by
        whole = None if cause is None else _refusal(cause)
        if refused:
            return Refused(refused)
        if whole is not None:
            return Refused(dict.fromkeys(places, whole))
        return Unsure("a transaction was undone" + ("" if cause is None else f": {cause.str()}"))

    def _missing(self, topics: Iterable[str]) -> dict[str, Refusal]:
        """Those of these topics that are not there or not ours to see.

        To ask first takes a moment once a topic; a record for one that is not there would hold up
        all others until its time is up.

        Raises:
            KafkaException: nobody answers.
        """
        assert self._producer is not None  # noqa: S101 - opened before
        missing: dict[str, Refusal] = {}
        for topic in topics:
            if topic in self._there:
                continue
            error = self._producer.list_topics(topic, _ASKED_S).topics[topic].error
            if error is None:
                self._there.add(topic)
            else:
                missing[topic] = Refusal(
                    Fault.TOPIC, f"the topic {topic} is not to be written: {error.str()}"
                )
        return missing


def _outgoing(records: Iterable[OutgoingRecord], refused: dict[int, Refusal]) -> Iterable[Outgoing]:
    def heard(place: int, error: KafkaError | None, _: Message) -> None:
        refusal = None if error is None else _refusal(error)
        if refusal is not None:
            refused[place] = refusal

    for place, one in enumerate(records):
        record = _Produced(one.topic, one.key, one.value)
        yield Outgoing(record, partial(heard, place), [*one.headers])


def _refusal(error: KafkaError) -> Refusal | None:
    """What Kafka finds wrong with records; None where it is about something else."""
    fault = _FAULTS.get(error.name())
    return None if fault is None else Refusal(fault, f"Kafka refuses it: {error.str()}")
