"""What an operator's `retry` and `skip` write (rule 11). Pure but for the writer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hooklane.ops.lanes_view import TaskFacts, UnreadTask, WaitingLane
from hooklane.retrier.resolve import letter_for
from hooklane.runtime import kafka
from hooklane.runtime.errors import BrokerError, HooklaneError
from hooklane.runtime.kafka import KafkaAccess
from hooklane.runtime.kafka_clients import open_producer
from hooklane.schemas.codec import DEAD_LETTERS, TASKS, TICKETS
from hooklane.schemas.lane import LaneId
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records import DeadLetter, DeadLetterReason, RetryTicket
from hooklane.schemas.topics import Delay, TopicNames, task_key

_FLUSH_EXTRA_S: Final = 5.0

Answered: TypeAlias = Callable[[KafkaError | None, Message], None]


class NewerTaskError(HooklaneError):
    """This version cannot read the task."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a backlog record is, for a dead letter that can say no more."""

    topic: str
    topic_id: str
    partition: int
    offset: int


def retry_ticket(lane: WaitingLane, now_ms: int) -> RetryTicket:
    """The lane's first task may go now: no attempt more, one nudge more, not halted.

    Raises:
        NewerTaskError: how far the task is cannot be read.
    """
    facts, standing = lane.first, lane.standing
    if isinstance(facts, UnreadTask) or standing is None:
        raise _unread(lane)
    return RetryTicket(
        lane=lane.lane,
        sequence=facts.sequence,
        subscription=facts.subscription,
        attempts=standing.attempts,
        nudge=standing.nudge + 1,
        due_ms=now_ms,
        halted=False,
    )


def skip_letter(lane: WaitingLane, record: bytes, place: RecordPlace, now_ms: int) -> DeadLetter:
    """The dead letter of the task that `lane` begins with; of a broken one, with its bytes.

    Raises:
        NewerTaskError: another version can read it.
    """
    task = lane.first
    if isinstance(task, TaskFacts):
        attempts = task.standing.attempts if lane.standing is None else lane.standing.attempts
        reason = DeadLetterReason.SKIPPED
        return letter_for(TASKS.decode(record), reason, lane.last, attempts, now_ms)
    if task.newer:
        raise _unread(lane)
    return DeadLetter(
        lane=lane.lane,
        sequence=task.sequence,
        webhook_id=None,
        subscription=None,
        uid="",
        run="",
        group="",
        reason=DeadLetterReason.SKIPPED,
        detail=f"the backlog's record is {task.why}",
        at_ms=now_ms,
        attempts=0,
        last_attempt=None,
        topic=place.topic,
        topic_id=place.topic_id,
        partition=place.partition,
        offset=place.offset,
        timestamp_ms=-1,
        key=task_key(lane.lane, task.sequence),
        event=None,
        value=record,
    )


def ticket_record(
    ticket: RetryTicket, names: TopicNames, tiers: Sequence[Delay], partition: int
) -> Record:
    """In the shortest tier, which is looked at soonest."""
    topic = names.retry(min(tiers))
    return Record(topic, partition, ticket.lane.encode(), TICKETS.encode(ticket))


def letter_record(letter: DeadLetter, names: TopicNames, partition: int) -> Record:
    value = DEAD_LETTERS.encode(letter)
    return Record(names.dead_letters, partition, letter.lane.encode(), value)


def tombstone_record(lane: LaneId, sequence: int, names: TopicNames, partition: int) -> Record:
    return Record(names.backlog, partition, task_key(lane, sequence), None)


class RecordWriter:
    """Writes records and waits until all in-sync replicas have them."""

    def __init__(self, access: KafkaAccess) -> None:
        config = kafka.plain_producer(access)
        self._servers = access.bootstrap_servers
        self._timeout_s = int(config["message.timeout.ms"]) / 1000 + _FLUSH_EXTRA_S
        self._producer: Producer = open_producer(config)

    def write(self, records: Sequence[Record]) -> None:
        """In their order; returns when every one is acknowledged.

        Raises:
            BrokerError: one was not, and may or may not be there. To write it again does no harm.
        """
        failed: list[KafkaError] = []
        acked = 0

        def answered(error: KafkaError | None, _message: Message) -> None:
            nonlocal acked
            if error is None:
                acked += 1
            else:
                failed.append(error)

        for record in records:
            while not self._sent(record, answered):
                self._producer.poll(0.1)
        self._producer.flush(self._timeout_s)
        if acked < len(records):
            said = failed[0].str().rstrip(".") if failed else "no answer in time"
            raise BrokerError(
                f"Kafka at {self._servers} acknowledged {acked} of {len(records)} records "
                f"({said}): check the brokers and do it again, that does no harm."
            )

    def _sent(self, record: Record, answered: Answered) -> bool:
        """Whether the client took it; false while its queue is full."""
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                partition=record.partition,
                on_delivery=answered,
            )
        except BufferError:
            return False
        except KafkaException as error:
            raise BrokerError(f"Kafka takes no such record: {error.args[0].str()}.") from error
        return True


def _unread(lane: WaitingLane) -> NewerTaskError:
    why = lane.first.why if isinstance(lane.first, UnreadTask) else "not known"
    return NewerTaskError(
        f"Task {lane.first.sequence} of lane {lane.lane} cannot be read ({why}): "
        "use the version of hooklane that wrote it."
    )
