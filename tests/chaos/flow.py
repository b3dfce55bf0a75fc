"""Numbered events that flow into a topic at an even rate, whatever happens to the brokers."""

import threading
import time
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message, Producer

from tests.kafka.broker import Kafka
from tests.kafka.records import quiet

_TURN_S = 0.05
_FLUSH_S = 60.0


class Flow:
    """Publishes between `with` and its end, or until `stop`; event n has the key n modulo `keys`.

    The producer never gives an event up and lets none overtake it, so that after `stop` the
    numbers below `published` are all acknowledged, and in each key in order.
    """

    def __init__(self, kafka: Kafka, topic: str, keys: int, per_s: float) -> None:
        self._topic = topic
        self._keys = keys
        self._per_s = per_s
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "reconnect.backoff.max.ms": 1000,
                "topic.metadata.refresh.interval.ms": 2000,
            },
            logger=quiet,
        )
        self._stopping = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self.published = 0
        self.acked = 0
        self.refused: list[KafkaError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def pause(self) -> None:
        """No more events until `resume`; those that would have been are made up for then."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def stop(self) -> int:
        """No more events; gives how many there were, all of them acknowledged."""
        self._stopping.set()
        self._thread.join()
        self._producer.flush(_FLUSH_S)
        assert not self.refused, self.refused
        assert self.acked == self.published, "events were not acknowledged"
        return self.published

    def _run(self) -> None:
        began = time.monotonic()
        while not self._stopping.wait(_TURN_S):
            due = int((time.monotonic() - began) * self._per_s)
            while self._going.is_set() and self.published < due:
                self._publish(self.published)
            self._producer.poll(0)

    def _publish(self, number: int) -> None:
        try:
            self._producer.produce(
                self._topic,
                key=b"key-%d" % (number % self._keys),
                value=b'{"n":%d}' % number,
                on_delivery=self._report,
            )
        except BufferError:
            self._producer.poll(0.1)
        else:
            self.published += 1

    def _report(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.acked += 1
        else:
            self.refused.append(error)
