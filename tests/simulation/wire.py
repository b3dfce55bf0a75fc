"""How a process reaches Kafka: latency, outages, and a process that is cut off."""

import random

from confluent_kafka import KafkaError, KafkaException

from hooklane.runtime.errors import BrokerError
from tests.simulation.cluster import Cluster
from tests.simulation.loop import Node
from tests.simulation.threads import sleep


class Wire:
    """One client's. `rng` is its own, so that what others do does not change its latencies."""

    def __init__(self, node: Node, cluster: Cluster, rng: random.Random) -> None:
        self.node, self.cluster, self.rng = node, cluster, rng
        self.loop = cluster.loop

    def latency(self) -> float:
        if self.rng.random() < 0.02:
            return self.rng.uniform(0.02, 0.1)
        return self.rng.uniform(0.0005, 0.004)

    @property
    def away_until(self) -> float:
        """When Kafka can be reached again."""
        return max(self.node.cut_until, self.cluster.away_until)

    @property
    def reachable(self) -> bool:
        return self.away_until <= self.loop.time()

    def reach(self, timeout_s: float) -> None:
        """In a thread: until a request has come to Kafka.

        Raises:
            KafkaException: it did not in that time; it may be tried again.
        """
        deadline = self.loop.time() + timeout_s
        sleep(self.loop, self.latency())
        while not self.reachable:
            if self.loop.time() >= deadline:
                raise timed_out()
            sleep(self.loop, min(self.away_until, deadline) - self.loop.time() + 0.001)

    def ask(self, timeout_s: float = 2.0) -> None:
        """The same, for a question.

        Raises:
            BrokerError: no answer.
        """
        try:
            self.reach(timeout_s)
        except KafkaException as error:
            raise BrokerError("Kafka did not answer.") from error


def timed_out() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer", retriable=True))


def rng_of(seed: object, *names: object) -> random.Random:
    """A stream of its own for each use: what one does not draw does not change the others."""
    return random.Random("/".join(map(str, (seed, *names))))
